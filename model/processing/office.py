"""Office documents -> PDF, through LibreOffice if it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import zipfile
from pathlib import Path

from model.processing.file_type import ARCHIVE_ERRORS, FileType
from model.processing.limits import Limits
from model.processing.media import MediaError

PROGRAMS = ("soffice", "libreoffice")

# Stream name of an encrypted package (MS-OFFCRYPTO 2.3.4.1), in UTF-16 as the container keeps it.
ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")

MAX_MANIFEST_BYTES = 1024 * 1024

# A new profile for each conversion: macros off, nothing linked is fetched, no sheet recalculated.
SETTINGS = (
    ("Common/Security/Scripting", "DisableMacrosExecution", "true"),
    ("Common/Security/Scripting", "MacroSecurityLevel", "3"),
    ("Common/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("Common/Security/Scripting", "DisableActiveContent", "true"),
    ("Calc/Content/Update", "Link", "2"),
    ("Writer/Content/Update", "Link", "0"),
)


def to_pdf(path: Path, found: FileType, name: str, limits: Limits) -> bytes:
    """Return an Office document as the content of a PDF file.

    Takes seconds, in a process of its own that sees a copy of the file in an empty folder.

    Raises:
        MediaError: LibreOffice is not installed, or the document is locked, would unpack to too
            much, or cannot be converted in time.
    """
    _check_archive(path, found, name, limits)
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise MediaError(
            f"{name} is {found.what}, which takes LibreOffice on the server (package libreoffice); "
            "install it, or export the file as PDF"
        )
    with tempfile.TemporaryDirectory(prefix="sightline-office-") as folder:
        work = Path(folder)
        _write_profile(work / "profile")
        shutil.copyfile(path, work / f"document{found.suffix}")
        _run(program, work, f"document{found.suffix}", name, limits)
        result = work / "document.pdf"
        if not result.is_file():
            raise MediaError(f"{name} cannot be converted by LibreOffice; export it as PDF")
        if result.stat().st_size > limits.max_bytes:
            raise MediaError(f"{name} is too large as a PDF; export only the pages that matter")
        return result.read_bytes()


def _run(program: str, work: Path, file: str, name: str, limits: Limits) -> None:
    """Convert the file to PDF within the folder; its processes end with the time that they have."""
    command = [
        program,
        f"-env:UserInstallation={(work / 'profile').as_uri()}",
        "--headless", "--norestore", "--nolockcheck", "--nodefault", "--nofirststartwizard",
        "--convert-to", "pdf", "--outdir", str(work), str(work / file),
    ]  # fmt: skip
    # nothing of the server's environment: it may hold keys
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(work), "TMPDIR": str(work)}
    process = subprocess.Popen(
        command,
        cwd=work,
        env={**environment, "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(timeout=limits.max_office_s)
    except subprocess.TimeoutExpired as error:
        raise MediaError(
            f"{name} takes LibreOffice more than {limits.max_office_s:g} s; export it as PDF"
        ) from error
    finally:
        # the program is a script that starts others, all in one process group
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _check_archive(path: Path, found: FileType, name: str, limits: Limits) -> None:
    """Refuse locked documents, and archives that unpack to more than is allowed."""
    if found.suffix == ".doc":
        if ENCRYPTED_PACKAGE in path.read_bytes():
            raise MediaError(f"{name} is locked with a password; attach an unlocked copy")
        return
    if found.suffix == ".rtf":
        return
    try:
        size, manifest = _read_contents(path)
    except ARCHIVE_ERRORS as error:
        raise MediaError(
            f"{name} is damaged or cut off (its list of contents cannot be read); save or "
            "download it again"
        ) from error
    if size > limits.max_unpacked_bytes:
        raise MediaError(
            f"{name} unpacks to {size:,} bytes, more than the {limits.max_unpacked_bytes:,} "
            "allowed; export the pages that matter as PDF"
        )
    if b"encryption-data" in manifest:
        raise MediaError(f"{name} is locked with a password; attach an unlocked copy")


def _read_contents(path: Path) -> tuple[int, bytes]:
    """Return how many bytes an archive unpacks to, and the beginning of its list of contents."""
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if "META-INF/manifest.xml" not in archive.namelist():
            return size, b""
        with archive.open("META-INF/manifest.xml") as manifest:
            return size, manifest.read(MAX_MANIFEST_BYTES)


def _write_profile(folder: Path) -> None:
    items = "".join(
        f'<item oor:path="/org.openoffice.Office.{path}"><prop oor:name="{key}" oor:op="fuse">'
        f"<value>{value}</value></prop></item>"
        for path, key, value in SETTINGS
    )
    (folder / "user").mkdir(parents=True)
    (folder / "user" / "registrymodifications.xcu").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<oor:items xmlns:oor="http://openoffice.org/2001/registry" '
        'xmlns:xs="http://www.w3.org/2001/XMLSchema" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"{items}</oor:items>"
    )
