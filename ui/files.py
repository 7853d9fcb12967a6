"""Files that the page may serve: uploads, and pictures and texts on their way to the browser."""

from __future__ import annotations

import getpass
import hmac
import io
import logging
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from threading import Event, Thread

from gradio.utils import get_upload_folder
from PIL import Image

logger = logging.getLogger(__name__)

# Files are looked at this often, and kept this long after they were last used.
CLEANING_INTERVAL_S = 3600
KEEP_FILES_S = 24 * 3600
# What Gradio and we put there: a folder for each content, and files that are still being written.
_OURS = re.compile(r"[0-9a-f]{64}|tmp[0-9a-z_]{8}")


class SavedFiles(set[str]):
    """Paths of files; more may be added while somebody goes through them."""

    def __iter__(self) -> Iterator[str]:
        return iter(frozenset(self))


# What Gradio is to remove when the server ends (``delete_cache``): by itself it knows only what
# passes through a component as a file.
SAVED = SavedFiles()


def save_png(image: Image.Image) -> str:
    """Write ``image`` without loss among the files that the page may serve; return the path."""
    buffer = io.BytesIO()
    # the default level takes four times as long for a few percent
    image.save(buffer, "PNG", compress_level=1)
    return save("image.png", buffer.getvalue())


def save(name: str, content: bytes) -> str:
    """Write a file among those that the page may serve; return the path.

    The same content is written once. Whoever has a file cannot tell from that whether somebody else
    has it here: its folder is named by a hash with a key of this process.
    """
    folder = Path(get_upload_folder()) / hmac.digest(_key(), content, "sha256").hex()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    SAVED.add(str(path))
    try:
        os.utime(path)
    except FileNotFoundError:
        # whole or not at all: another request may be about to serve the same file
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(content)
        os.replace(file.name, path)
    return str(path)


@cache
def _key() -> bytes:
    return secrets.token_bytes(32)


def keep_longer(paths: Iterable[str]) -> list[str]:
    """Let files count as just used; return those that are gone."""
    gone = []
    for path in paths:
        try:
            os.utime(path, follow_symlinks=False)
        except OSError:
            gone.append(path)
    return gone


def use_own_folder() -> None:
    """Keep the files apart from those of other Gradio pages, unless GRADIO_TEMP_DIR says where.

    Only this user can read the folder. Call before the page is built.
    """
    if os.environ.get("GRADIO_TEMP_DIR"):
        return
    folder = Path(tempfile.gettempdir()) / f"sightline-{getpass.getuser()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        # somebody else may have made it, to read along
        is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        is_private = not stat.S_IMODE(status.st_mode) & 0o077
    except OSError:
        is_own = is_private = False
    if not (is_own and is_private):
        folder = Path(tempfile.mkdtemp(prefix="sightline-"))
    os.environ["GRADIO_TEMP_DIR"] = str(folder)


def start_cleaning(interval_s: float = CLEANING_INTERVAL_S, keep_s: float = KEEP_FILES_S) -> Event:
    """Remove old files now and again and again, beside everything else; set the event to end it.

    Gradio's own cleaning (``delete_cache``) knows only files that passed a component of this
    process: not those uploaded over HTTP alone, and none of an earlier process.
    """
    ended = Event()

    def clean() -> None:
        while True:
            try:
                remove_older(Path(get_upload_folder()), time.time() - keep_s)
            except OSError:
                logger.exception("old files could not be removed")
            if ended.wait(interval_s):
                return

    Thread(target=clean, name="cleaning", daemon=True).start()
    return ended


def remove_older(folder: Path, than_s: float) -> None:
    """Remove the files below ``folder`` last used before a time, in seconds since the epoch.

    Links are removed, not followed. What does not look like one of the page's files stays: the
    operator may have chosen a folder that has others.
    """
    if not folder.is_dir():
        return
    # by file descriptors: nobody can make a link of a folder between the look and the removal
    for root, folders, files, descriptor in os.fwalk(folder):
        if Path(root) == folder:
            folders[:] = filter(_OURS.fullmatch, folders)
            files = list(filter(_OURS.fullmatch, files))
        for name in (*files, *folders):
            _remove(name, descriptor, than_s)


def _remove(name: str, descriptor: int, than_s: float) -> None:
    """Remove a file, a link or an empty folder of an open folder, if it is old."""
    try:
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        # not when it was written: a copy may have the time of its original
        if status.st_ctime >= than_s:
            return
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(name, dir_fd=descriptor)
        else:
            os.unlink(name, dir_fd=descriptor)
    except OSError:
        return  # not empty yet, already gone, or somebody else's
