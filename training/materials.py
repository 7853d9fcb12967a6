"""Fonts, icon fonts, style sheets and words from npm packages: downloaded once, checked, kept.

``materials.json`` locks each package: version, sha512 of its archive, licence, the files used and
what for. ``python -m training.materials`` fills the folder and lists the licences.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LOCK = Path(__file__).with_name("materials.json")
REGISTRY = "https://registry.npmjs.org"
TIMEOUT_S = 60
ATTEMPTS = 3
DOWNLOADS_AT_ONCE = 4
# words with these in them stay out of pictures that are shown to people
_UNSUITABLE = re.compile(
    "fuck|shit|cunt|nigg|negro|slut|whor|bitch|rape|rapist|porn|nazi|fag|piss|bugger|sex|erotic|"
    "perver|nude|naked|rect[ua]|lust|incest|tits"
)


class MaterialsError(RuntimeError):
    """A material can't be had; the message names the package, the address and the remedy."""


@dataclass(frozen=True, slots=True)
class Package:
    """One locked npm package.

    Attributes:
        name, version: as in the registry.
        integrity: ``sha512-`` and the base64 digest of its archive.
        licence: SPDX expression.
        use: ``"text font"``, ``"icon font"``, ``"CSS kit"`` or ``"words"``.
        files: paths inside the package; only these are kept.
        held_out: training never shows it; screens for evaluation do.
    """

    name: str
    version: str
    integrity: str
    licence: str
    use: str
    files: tuple[str, ...]
    held_out: bool = False

    @property
    def address(self) -> str:
        """Where its archive is; npm's own variable ``npm_config_registry`` names a mirror."""
        registry = os.environ.get("npm_config_registry") or REGISTRY
        return f"{registry.rstrip('/')}/{self.name}/-/{self.short_name}-{self.version}.tgz"

    @property
    def short_name(self) -> str:
        """The name without its scope: ``roboto`` of ``@fontsource/roboto``."""
        return self.name.rpartition("/")[2]

    @property
    def folder_name(self) -> str:
        """Its folder among the materials, one for each version."""
        return f"{self.name.replace('/', '+')}-{self.version}"


@dataclass(frozen=True, slots=True)
class Family:
    """A text font: files of rising weight; where it has only two, the last two are the same."""

    name: str
    regular: Path
    medium: Path
    bold: Path


@dataclass(frozen=True, slots=True, eq=False)
class IconFont:
    """An icon font: ``glyphs`` maps its own glyph names to code points."""

    name: str
    path: Path
    glyphs: dict[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Materials:
    """Everything screens are drawn from; small enough to be sent to worker processes.

    Attributes:
        folder: where the files are; ``path`` finds one of a package.
        families, held_out_families: text fonts by name.
        icon_fonts, held_out_icon_fonts: icon fonts by name.
        common_words, rare_words: lower-case English words of 2 to 12 letters.
    """

    folder: Path
    families: dict[str, Family]
    held_out_families: dict[str, Family]
    icon_fonts: dict[str, IconFont]
    held_out_icon_fonts: dict[str, IconFont]
    common_words: tuple[str, ...]
    rare_words: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path | None = None) -> Materials:
        """Open the materials in ``folder``, ``cache_folder()`` if None, downloading what it lacks.

        Raises:
            MaterialsError: a package can't be downloaded, or isn't what the lock says.
        """
        return _load(Path(folder) if folder else cache_folder())

    def __reduce__(self) -> tuple[Callable[[Path], Materials], tuple[Path]]:
        """Send only the folder to another process, which opens it once."""
        return _load, (self.folder,)

    def path(self, package: str, file: str) -> Path:
        """Return where ``file`` of ``package`` is.

        Raises:
            KeyError: the lock has no such package or file.
        """
        for locked in packages():
            if locked.name == package and file in locked.files:
                return self.folder / locked.folder_name / file
        raise KeyError(f"materials.json has no file {file!r} of a package {package!r}")


def packages() -> tuple[Package, ...]:
    """Return the packages of ``materials.json``."""
    entries = json.loads(LOCK.read_text(encoding="utf-8"))
    return tuple(Package(**{**entry, "files": tuple(entry["files"])}) for entry in entries)


def cache_folder() -> Path:
    """Return ``$SIGHTLINE_MATERIALS``, or the folder for materials in the user's cache."""
    chosen = os.environ.get("SIGHTLINE_MATERIALS")
    if chosen:
        return Path(chosen)
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "sightline" / "materials"


def fill(folder: Path, wanted: Iterable[Package] | None = None) -> list[Package]:
    """Download into ``folder`` the packages that it lacks, a few at a time; return those.

    Raises:
        MaterialsError: one can't be downloaded, or its archive isn't the locked one.
    """
    wanted = packages() if wanted is None else wanted
    missing = [package for package in wanted if not (folder / package.folder_name).is_dir()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            list(pool.map(lambda package: _install(package, folder), missing))
    return missing


def licences() -> str:
    """Describe each package, its version, licence and use as rows of a Markdown table."""
    rows = ["| package | version | licence | used as |", "|---|---|---|---|"]
    for package in packages():
        use = f"{package.use}, held out" if package.held_out else package.use
        rows.append(f"| {package.name} | {package.version} | {package.licence} | {use} |")
    return "\n".join(rows)


def _install(package: Package, folder: Path) -> None:
    """Download, check and unpack one package; it appears in ``folder`` whole or not at all."""
    archive = _download(package, folder)
    digest = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if digest != package.integrity:
        raise MaterialsError(
            f"{package.name} {package.version} from {package.address} is not the locked archive "
            f"(got {digest}, expected {package.integrity}); a proxy or mirror may have changed it: "
            "download from another network, or unset npm_config_registry"
        )
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for file in package.files:
                source = tar.extractfile(f"package/{file}")
                assert source is not None, f"{file} of {package.name} is not a file"
                (partial / file).parent.mkdir(parents=True, exist_ok=True)
                (partial / file).write_bytes(source.read())
        partial.chmod(0o755)
        try:
            partial.rename(folder / package.folder_name)
        except OSError:
            if not (folder / package.folder_name).is_dir():  # else another process was first
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _download(package: Package, folder: Path) -> bytes:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(package.address, timeout=TIMEOUT_S) as answer:
                return bytes(answer.read())
        except OSError as error:  # urllib's errors, time-outs and broken connections
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if attempt == ATTEMPTS or refused:
                raise MaterialsError(
                    f"{package.name} {package.version} is not in {folder} and can't be downloaded "
                    f"from {package.address} ({error}). On a machine with network run "
                    "'python -m training.materials --to FOLDER', copy FOLDER here and set "
                    "SIGHTLINE_MATERIALS to it; npm_config_registry names a mirror"
                ) from error
    raise AssertionError("unreachable")


@lru_cache(maxsize=4)
def _load(folder: Path) -> Materials:
    fill(folder)
    families: dict[bool, dict[str, Family]] = {False: {}, True: {}}
    icon_fonts: dict[bool, dict[str, IconFont]] = {False: {}, True: {}}
    words: list[Path] = []
    for package in packages():
        files = [folder / package.folder_name / file for file in package.files]
        if package.use == "text font":
            weights = [file for file in files if file.suffix == ".woff"]
            family = Family(package.short_name, weights[0], weights[1], weights[-1])
            families[package.held_out][family.name] = family
        elif package.use == "icon font":
            for font in _icon_fonts(package, files):
                icon_fonts[package.held_out][font.name] = font
        elif package.use == "words":
            words = [file for file in files if file.suffix == ".json"]
    *common, rare = (_words(file) for file in words)
    return Materials(
        folder=folder,
        families=families[False],
        held_out_families=families[True],
        icon_fonts=icon_fonts[False],
        held_out_icon_fonts=icon_fonts[True],
        common_words=tuple(word for part in common for word in part),
        rare_words=tuple(rare),
    )


def _icon_fonts(package: Package, files: list[Path]) -> list[IconFont]:
    """Read an icon package: its first font file, and other cuts of it with the same glyphs."""
    sheet = next(file for file in files if file.suffix == ".css")
    glyphs = read_glyphs(sheet.read_text(encoding="utf-8"))
    stems: dict[str, Path] = {}
    for file in files:
        if file.suffix in (".woff", ".woff2"):
            stems.setdefault(file.stem, file)  # .woff before .woff2: it opens faster
    return [IconFont(stem, path, glyphs) for stem, path in stems.items()]


def read_glyphs(style_sheet: str) -> dict[str, int]:
    """Read glyph names and code points from an icon font's style sheet.

    Two forms are known, ``.x-search::before{content:"\\f52a"}`` and Font Awesome's
    ``.fa-search{--fa:"\\f002"}``; a prefix of two or three letters, or ``icon-``, is dropped, but
    not boxicons' ``bx-`` and ``bxs-``, which tell outlines from solid glyphs.
    """
    rules = re.findall(r'([^{}]+)\{\s*(?:content|--fa):\s*"([^"]+)"', style_sheet)
    glyphs: dict[str, int] = {}
    for selectors, content in rules:
        code = re.fullmatch(r"\\([0-9a-fA-F]{2,6})", content)
        if not code and len(content) != 1:
            continue
        point = int(code[1], 16) if code else ord(content)
        for selector in re.findall(r"\.([\w-]+)(?=:|\s*,|\s*$)", selectors):
            glyphs[re.sub(r"^(?!bxs?-)(?:icon|[a-z]{2,3})-", "", selector)] = point
    return glyphs


def _words(file: Path) -> list[str]:
    """Read a JSON list; keep plain lower-case words of 2 to 12 letters."""
    listed = json.loads(file.read_text(encoding="utf-8"))
    words = [word for word in listed if re.fullmatch(r"[a-z]{2,12}", word)]
    return [word for word in words if not _UNSUITABLE.search(word)]


def main() -> None:
    """Fill the folder and list what is in it, with licences."""
    parser = argparse.ArgumentParser(
        prog="python -m training.materials",
        description="Download what screens are drawn from, once, and list the licences.",
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="default: the user's cache")
    folder = parser.parse_args().to or cache_folder()
    try:
        added = fill(folder)
    except MaterialsError as error:
        parser.exit(1, f"{error}\n")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(licences())
    print(f"\n{len(added)} packages downloaded; {folder} holds {size / 1e6:.1f} MB.")


if __name__ == "__main__":
    main()
