"""A sent clip or document in the chat: a player, or pages that open large.

The browser's half is in ``assets/media``: an element that shows the view written here.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from ui.conversation import Attached, Item, Picture
from ui.rendering.media_links import key_of
from ui.rendering.overlay import to_address


def to_media_html(attached: Attached) -> str:
    """Return a video or a document as HTML; "" for what has no pictures."""
    if attached.kind not in ("video", "document") or not attached.pictures:
        return ""
    view = {
        "kind": attached.kind,
        "name": attached.name,
        "src": to_address(attached.path) if attached.path else "",
        "items": [
            _item(attached, item, picture)
            for item, picture in zip(attached.items, attached.pictures, strict=True)
        ],
    }
    data = escape(json.dumps(view, ensure_ascii=False, separators=(",", ":")))
    return f'<sightline-media data-key="{key_of(attached)}" data-view="{data}"></sightline-media>'


def _item(attached: Attached, item: Item, picture: Picture) -> dict[str, Any]:
    """Return a page as the overlay takes one, and its place in the file."""
    width, height = picture.image.size
    place = picture.place
    return {
        "label": item.label,
        "place": place.time_s if attached.kind == "video" else place.number,
        "name": picture.name,
        "src": to_address(picture.png),
        "width": width,
        "height": height,
        "says": picture.name,
        "png": "",
        "file": "",
        "targets": [],
    }
