"""Office documents through LibreOffice, and what is said where it is not installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from attachment_files import archive, docx, odt

from model.processing import Limits, MediaError, open_attachment
from model.processing.file_type import identify
from model.processing.office import ENCRYPTED_PACKAGE, to_pdf
from model.processing.pdf import PdfFile

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)

OFFICE_FILES = {
    "a.docx": docx(),
    "a.pptx": archive({"[Content_Types].xml": b"", "ppt/presentation.xml": b"<p/>"}),
    "a.xlsx": archive({"[Content_Types].xml": b"", "xl/workbook.xml": b"<w/>"}),
    "a.odt": odt(),
    "a.doc": OLE,
    "a.rtf": b"{\\rtf1 hello}",
}


def write(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Whatever is started, without starting it."""
    started: list[Any] = []
    monkeypatch.setattr("subprocess.Popen", lambda *given, **_: started.append(given))
    return started


@pytest.mark.parametrize("name", OFFICE_FILES)
def test_without_libreoffice_its_package_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(MediaError, match=rf"^{name} is an? .* LibreOffice .*package libreoffice\)"):
        open_attachment(write(tmp_path, name, OFFICE_FILES[name]))


def test_an_archive_that_unpacks_to_too_much_is_not_converted(
    tmp_path: Path, ran: list[Any]
) -> None:
    path = write(tmp_path, "bomb.docx", docx("x" * 3_000_000))
    with pytest.raises(MediaError, match=r"^bomb.docx unpacks to 3,\d{3},\d{3} bytes, more than"):
        open_attachment(path, limits=replace(Limits(), max_unpacked_bytes=1_000_000))
    assert ran == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.docx", OLE + ENCRYPTED_PACKAGE),
        ("a.odt", odt(b'<manifest:encryption-data manifest:checksum="x"/>')),
    ],
)
def test_a_locked_document_asks_for_an_unlocked_copy(
    name: str, content: bytes, tmp_path: Path, ran: list[Any]
) -> None:
    with pytest.raises(MediaError, match=f"^{name} is locked with a password; attach an unlocked"):
        open_attachment(write(tmp_path, name, content))
    assert ran == []


@pytest.mark.parametrize(
    ("part", "at"),
    [
        (b"META-INF/manifest.xml", 0),  # in front of its content, its name
        (b"META-INF/manifest.xml", 21),  # its content, which is packed
    ],
)
def test_a_document_with_a_damaged_list_of_contents_is_refused(
    part: bytes, at: int, tmp_path: Path, ran: list[Any]
) -> None:
    content = bytearray(odt(b"<manifest>" + b"a b c " * 50))
    start = content.index(part) + at
    content[start : start + 4] = b"\xff" * 4
    with pytest.raises(MediaError, match="^a.odt is damaged or cut off .*; save or download it"):
        open_attachment(write(tmp_path, "a.odt", bytes(content)))
    assert ran == []


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_document_whose_kind_is_damaged_stays_an_archive(packing: int, tmp_path: Path) -> None:
    kind = b"application/vnd.oasis.opendocument.text"
    with zipfile.ZipFile(tmp_path / "a.odt", "w", packing) as out:
        out.writestr("mimetype", kind * 3)
    whole = (tmp_path / "a.odt").read_bytes()
    start = whole.index(b"mimetype") + len(b"mimetype")
    for end in range(start, whole.index(b"PK\1\2")):
        damaged = bytearray(whole)
        damaged[start : end + 1] = b"\xff" * (end + 1 - start)
        path = write(tmp_path, "a.odt", bytes(damaged))
        assert identify(path).what in ("a ZIP archive", "a ZIP archive or an Office document")


@pytest.fixture
def converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for LibreOffice; the test writes what it does."""
    script = tmp_path / "soffice"
    monkeypatch.setattr("model.processing.office.PROGRAMS", (str(script),))
    return script


def be(script: Path, code: str) -> None:
    script.write_text(f"#!{sys.executable}\nimport os, sys, time\n{code}\n")
    script.chmod(0o755)


def convert(tmp_path: Path, limits: Limits) -> bytes:
    path = write(tmp_path, "a.docx", docx())
    return to_pdf(path, identify(path), "a.docx", limits)


def test_a_conversion_that_takes_too_long_ends_with_all_its_processes(
    tmp_path: Path, converter: Path
) -> None:
    be(converter, f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    with pytest.raises(MediaError, match="^a.docx takes LibreOffice more than 1 s; export it"):
        convert(tmp_path, replace(Limits(), max_office_s=1))
    pid = int((tmp_path / "pid").read_text())
    assert subprocess.run(["kill", "-0", str(pid)], capture_output=True).returncode != 0


def test_a_conversion_without_result_says_so(tmp_path: Path, converter: Path) -> None:
    be(converter, "pass")
    with pytest.raises(MediaError, match="^a.docx cannot be converted by LibreOffice; export it"):
        convert(tmp_path, Limits())


def test_the_converter_sees_nothing_of_the_servers_environment(
    tmp_path: Path, converter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_SECRET", "x")
    be(converter, "open(os.path.join(os.getcwd(), 'document.pdf'), 'w').write(str(os.environ))")
    assert b"SECRET" not in convert(tmp_path, Limits())


def test_macros_and_links_are_off_in_the_profile(tmp_path: Path, converter: Path) -> None:
    be(
        converter,
        "import shutil; shutil.copy('profile/user/registrymodifications.xcu', 'document.pdf')",
    )
    profile = convert(tmp_path, Limits()).decode()
    for setting in ("DisableMacrosExecution", "BlockUntrustedRefererLinks"):
        assert f'oor:name="{setting}" oor:op="fuse"><value>true</value>' in profile


@pytest.mark.slow
def test_libreoffice_converts_what_people_attach(tmp_path: Path) -> None:
    """Needs LibreOffice with Writer, Calc and Impress."""
    path = write(tmp_path, "letter.docx", docx("Dear all"))
    document = open_attachment(path, name="letter.docx")
    assert (document.kind, document.page_count) == ("document", 1)
    darkest, lightest = next(document.pictures()).convert("L").getextrema()
    assert darkest < 50 < lightest == 255  # letters on white


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["pptx", "odp", "xlsx", "ods", "odt"])
def test_libreoffice_converts_every_kind(suffix: str, tmp_path: Path) -> None:
    """Needs LibreOffice, which also makes the files."""
    source = {"p": "a.fodp", "x": "a.csv", "o": "a.csv" if suffix == "ods" else "a.txt"}
    name = "a.fodp" if suffix in ("pptx", "odp") else source[suffix[0]]
    content = FODP if name == "a.fodp" else b"one,two\n1,2\n"
    write(tmp_path, name, content)
    subprocess.run(
        ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless",
         "--convert-to", suffix, "--outdir", str(tmp_path), str(tmp_path / name)],
        check=True, capture_output=True,
    )  # fmt: skip
    path = tmp_path / f"a.{suffix}"
    found = identify(path)
    assert found.suffix == f".{suffix}"
    with PdfFile(to_pdf(path, found, path.name, Limits()), path.name, Limits()) as file:
        assert file.page_count == 1


@pytest.mark.slow
def test_libreoffice_reads_nothing_that_a_document_points_to(tmp_path: Path) -> None:
    """Needs LibreOffice. A linked file would be shown, a linked address would be called."""
    (tmp_path / "secret.txt").write_text("secret\n" * 2000)  # pages of it, if it were read
    calls: list[str] = []

    class Caller(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_error(404)

        do_HEAD = do_OPTIONS = do_PROPFIND = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Caller)
    Thread(target=server.serve_forever, daemon=True).start()
    links = [f"file://{tmp_path}/secret.txt", f"http://127.0.0.1:{server.server_port}/a.png"]
    path = write(tmp_path, "a.odt", linked_odt(*links))
    with PdfFile(to_pdf(path, identify(path), "a.odt", Limits()), "a.odt", Limits()) as file:
        assert file.page_count == 1
    server.shutdown()
    assert calls == []


def linked_odt(*links: str) -> bytes:
    names = "urn:oasis:names:tc:opendocument:xmlns"
    parts = "".join(
        f'<text:section text:name="s{i}"><text:section-source xlink:href="{link}"/><text:p>x'
        f'</text:p></text:section><text:p><draw:frame><draw:image xlink:href="{link}"/>'
        f"</draw:frame></text:p>"
        for i, link in enumerate(links)
    )
    content = (
        f'<office:document-content xmlns:office="{names}:office:1.0" xmlns:text="{names}:text:1.0" '
        f'xmlns:draw="{names}:drawing:1.0" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'office:version="1.2"><office:body><office:text>{parts}</office:text></office:body>'
        "</office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.text"
    entries = "".join(
        f'<manifest:file-entry manifest:full-path="{at}" manifest:media-type="{of}"/>'
        for at, of in (("/", kind), ("content.xml", "text/xml"))
    )
    manifest = (
        f'<manifest:manifest xmlns:manifest="{names}:manifest:1.0">{entries}</manifest:manifest>'
    )
    return archive({
        "mimetype": kind.encode(),
        "content.xml": content.encode(),
        "META-INF/manifest.xml": manifest.encode(),
    })  # fmt: skip


FODP = b"""<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" office:version="1.2"
 office:mimetype="application/vnd.oasis.opendocument.presentation"><office:body>
<office:presentation><draw:page draw:name="p1"><draw:frame svg:width="9cm" svg:height="2cm"
 svg:x="1cm" svg:y="1cm"><draw:text-box><text:p>Hello</text:p></draw:text-box></draw:frame>
</draw:page></office:presentation></office:body></office:document>"""
