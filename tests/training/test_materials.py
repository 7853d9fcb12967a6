"""Packages are checked, kept whole, and explained where they can't be had."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import pickle
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training import materials as room
from training.materials import Materials, MaterialsError, Package, fill, packages, read_glyphs

Answer = Callable[..., Any]


def archive(**files: bytes) -> bytes:
    """Build an npm archive: everything below ``package/``."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def locked(data: bytes, **changes: Any) -> Package:
    """Lock an archive as ``materials.json`` would."""
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    package = Package("@scope/words", "1.2.3", integrity, "MIT", "words", ("list", "LICENSE"))
    return dataclasses.replace(package, **changes)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], list[str]]:
    """Return a function that puts an answer in place of the registry and notes the addresses."""

    def replace(answer: Answer) -> list[str]:
        asked: list[str] = []

        def urlopen(address: str, timeout: float) -> Any:
            asked.append(address)
            return answer(address)

        monkeypatch.setattr(urllib.request, "urlopen", urlopen)
        monkeypatch.delenv("npm_config_registry", raising=False)
        return asked

    return replace


def refuse(address: str) -> Any:
    raise urllib.error.URLError("no route to host")


def test_only_the_locked_files_are_kept_and_a_second_fill_downloads_nothing(
    tmp_path: Path, registry: Callable[[Answer], list[str]]
) -> None:
    data = archive(list=b"words", LICENSE=b"MIT", other=b"unused")
    asked = registry(lambda address: io.BytesIO(data))
    package = locked(data)

    assert fill(tmp_path, [package]) == [package]
    assert fill(tmp_path, [package]) == []

    assert asked == ["https://registry.npmjs.org/@scope/words/-/words-1.2.3.tgz"]
    kept = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    assert kept == {"@scope+words-1.2.3/list", "@scope+words-1.2.3/LICENSE"}


def test_an_archive_that_is_not_the_locked_one_is_refused(
    tmp_path: Path, registry: Callable[[Answer], list[str]]
) -> None:
    package = locked(archive(list=b"words", LICENSE=b"MIT"))
    registry(lambda address: io.BytesIO(archive(list=b"other words", LICENSE=b"MIT")))

    with pytest.raises(MaterialsError, match="@scope/words 1.2.3 .* is not the locked archive"):
        fill(tmp_path, [package])
    assert list(tmp_path.iterdir()) == []


def test_without_network_the_error_names_package_address_and_remedy(
    tmp_path: Path, registry: Callable[[Answer], list[str]]
) -> None:
    asked = registry(refuse)

    with pytest.raises(MaterialsError) as caught:
        fill(tmp_path, [locked(archive(list=b""))])

    said = str(caught.value)
    assert "@scope/words 1.2.3" in said
    assert "https://registry.npmjs.org/@scope/words/-/words-1.2.3.tgz" in said
    assert "python -m training.materials --to FOLDER" in said
    assert "SIGHTLINE_MATERIALS" in said
    assert len(asked) == room.ATTEMPTS


def test_a_missing_file_in_the_archive_leaves_nothing_behind(
    tmp_path: Path, registry: Callable[[Answer], list[str]]
) -> None:
    data = archive(list=b"words")
    registry(lambda address: io.BytesIO(data))

    with pytest.raises(KeyError):
        fill(tmp_path, [locked(data)])
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_of_the_registry_is_asked_where_npm_would_ask_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("npm_config_registry", "https://mirror.example/npm/")
    address = locked(b"").address
    assert address == "https://mirror.example/npm/@scope/words/-/words-1.2.3.tgz"


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIGHTLINE_MATERIALS", str(tmp_path))
    assert room.cache_folder() == tmp_path


def test_each_package_is_locked_with_hash_licence_and_use() -> None:
    for package in packages():
        assert package.integrity.startswith("sha512-")
        assert package.licence
        assert package.use in ("text font", "icon font", "CSS kit", "words")
        assert package.name in room.licences()


def test_glyphs_are_read_from_both_forms_of_style_sheets() -> None:
    sheet = (
        '.bi-search::before{content:"\\f52a"}.fa-gear,.fa-cog{--fa:"\\f013"}.fa-a{--fa:"A"}'
        '.bx-x:before{content:"\\ec8d"}.other{color:red}'
        '.ph-bold.ph-map-pin:before{content:"\\e316"}.icon-sun::before{content:"\\e178"}'
    )
    expected = {"search": 0xF52A, "gear": 0xF013, "cog": 0xF013, "a": 65, "bx-x": 0xEC8D}
    expected |= {"map-pin": 0xE316, "sun": 0xE178}
    assert read_glyphs(sheet) == expected


def test_materials_go_to_other_processes_as_their_folder(materials: Materials) -> None:
    packed = pickle.dumps(materials)
    assert len(packed) < 500
    assert pickle.loads(packed) is materials


def test_a_path_is_found_by_package_and_file(materials: Materials) -> None:
    assert materials.path("bootstrap", "dist/css/bootstrap.min.css").is_file()
    with pytest.raises(KeyError, match="no-such-file"):
        materials.path("bootstrap", "no-such-file")


def test_what_is_held_out_is_not_among_what_is_trained_on(materials: Materials) -> None:
    for shown, held_out in (
        (materials.families, materials.held_out_families),
        (materials.icon_fonts, materials.held_out_icon_fonts),
    ):
        assert shown and held_out
        assert not set(shown) & set(held_out)


def test_the_command_lists_licences_and_downloads_nothing_twice(
    materials: Materials, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["materials", "--to", str(materials.folder)])
    room.main()
    said = capsys.readouterr().out
    assert "| @fontsource/roboto |" in said
    assert "| boxicons | 2.1.4 | CC-BY-4.0 OR OFL-1.1 OR MIT | icon font, held out |" in said
    assert said.splitlines()[-1].startswith("0 packages downloaded;")


def test_the_command_fails_with_the_reason_without_network(
    tmp_path: Path,
    registry: Callable[[Answer], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry(refuse)
    monkeypatch.setattr("sys.argv", ["materials", "--to", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        room.main()
    assert caught.value.code == 1
    assert "can't be downloaded" in capsys.readouterr().err
