"""Images on their way to the browser."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gradio.utils import get_upload_folder
from PIL import Image


class SavedFiles(set[str]):
    """Paths of files; more may be added while somebody goes through them."""

    def __iter__(self) -> Iterator[str]:
        return iter(frozenset(self))


# What Gradio's cleaning is to look at (``delete_cache``): by itself it knows only what passes
# through a component as a file.
SAVED = SavedFiles()


def save_png(image: Image.Image) -> str:
    """Write ``image`` without loss among the files that the page may serve; return the path.

    The name is a hash of the content, so the same image is written once. Gradio removes the file
    with its other temporary ones (``delete_cache``), when it was last saved long ago.
    """
    buffer = io.BytesIO()
    # the default level takes four times as long for a few percent
    image.save(buffer, "PNG", compress_level=1)
    content = buffer.getvalue()
    folder = Path(get_upload_folder()) / hashlib.sha256(content).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "image.png"
    SAVED.add(str(path))
    try:
        os.utime(path)
    except FileNotFoundError:
        # whole or not at all: another request may be about to serve the same image
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(content)
        os.replace(file.name, path)
    return str(path)
