"""Images on their way to the browser."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from pathlib import Path

from gradio.utils import get_upload_folder
from PIL import Image


def save_png(image: Image.Image) -> str:
    """Write ``image`` without loss among the files that the page may serve; return the path.

    The name is a hash of the content, so the same image is written once. Gradio removes the file
    with its other temporary ones (``delete_cache``).
    """
    buffer = io.BytesIO()
    # the default level takes four times as long for a few percent
    image.save(buffer, "PNG", compress_level=1)
    content = buffer.getvalue()
    folder = Path(get_upload_folder()) / hashlib.sha256(content).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "image.png"
    if not path.exists():
        # whole or not at all: another request may be about to serve the same image
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(content)
        os.replace(file.name, path)
    return str(path)
