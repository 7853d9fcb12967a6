"""What was found, over its pictures, in the page: boxes, points and actions as SVG.

The browser's half is in ``assets/overlay``: an element that draws the view written here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from grounding import strip_markers
from grounding.draw import COLOURS
from ui.conversation import Picture
from ui.language import say, say_number
from ui.targets.exports import FORMATS, to_coco_file, to_json_file, write_lines
from ui.targets.target import DIRECTIONS, Gesture, Target, on_picture, say_kind, show_score

ASSETS = Path(__file__).parents[2] / "assets"
# in this order: what is used stands before what uses it
SCRIPTS = (
    "overlay/labels.js",
    "overlay/zoom.js",
    "overlay/copy.js",
    "overlay/shapes.js",
    "overlay/truth.js",
    "overlay/parts.js",
    "overlay/element.js",
    "overlay/code.js",
    "overlay/links.js",
    "media/viewer.js",
    "media/element.js",
    "media/preview.js",
    "media/tabs.js",
)
# what they call the style sheets inside of their elements
STYLES = {
    "BASE_STYLE": "overlay/base.css",
    "STYLE": "overlay/overlay.css",
    "MEDIA_STYLE": "media/media.css",
    "PREVIEW_STYLE": "media/preview.css",
}
# A model that is less sure than that of a target has it drawn dashed.
LOW_SCORE = 0.5
# of the shorter side of the picture: how long the arrow of a scroll is
ARROW_SHARE = 0.15
_MAX_PLATE_CHARACTERS = 80
_MARKS: dict[Gesture, str] = {
    "box": "box",
    "point": "point",
    "drag": "arrow",
    "scroll": "arrow",
    "swipe": "arrow",
    "type": "caret",
}


def make_overlay(**settings: Any) -> gr.HTML:
    """Return the component that shows what ``to_html`` returns.

    It also brings the element that draws it to the page. One is enough for a page: wherever else
    the same HTML is put, it comes to life. (A subclass would do, but Gradio writes a file beside
    the module of each subclass of a component.)
    """
    return gr.HTML(js_on_load=read_script(), apply_default_css=False, **settings)


def read_script() -> str:
    """Return this element and those around it as one program; it may run again and again."""
    styles = [f"const {name} = {json.dumps(_read(file))};" for name, file in STYLES.items()]
    body = "\n".join([*styles, *(_read(name) for name in SCRIPTS)])
    return f'if (!customElements.get("sightline-overlay")) {{\n{body}\n}}'


def _read(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def to_html(
    pictures: Sequence[Picture],
    targets: Sequence[Target],
    pngs: Sequence[str] = (),
    *,
    answer: str = "",
    is_complete: bool = True,
) -> str:
    """Return pictures with targets over them as HTML, everything from the model escaped.

    Args:
        pictures: all that the answer is about, in the order in which targets count them; those
            without a target are left out where another has one.
        pngs: for each picture the file with what was found drawn upon it, or "".
        answer: the text that the targets' spans count in.
        is_complete: whether the answer is; before, there is nothing to copy or to download.
    """
    marked = [index for index in range(len(pictures)) if on_picture(targets, index)]
    sizes = [picture.image.size for picture in pictures]
    names = [picture.name for picture in pictures]
    view: dict[str, Any] = {
        "pages": [
            _page(pictures[index], on_picture(targets, index), answer, pngs[index] if pngs else "")
            for index in marked or range(min(1, len(pictures)))
        ],
        "formats": [],
        "lines": {},
        "files": [],
    }
    if is_complete and targets and sizes:
        view["formats"] = [[key, say(title)] for key, title, _ in FORMATS]
        view["lines"] = write_lines(targets, sizes)
        view["files"] = [
            _file("JSON", "targets.json", to_json_file(targets, sizes, names)),
            _file("COCO", "targets.coco.json", to_coco_file(targets, sizes, names)),
        ]
    data = escape(json.dumps(view, ensure_ascii=False, separators=(",", ":")))
    return f'<sightline-overlay data-view="{data}"></sightline-overlay>'


def to_address(path: str) -> str:
    """Return where the browser gets a file that the page may serve."""
    return "gradio_api/file=" + quote(path)


def _page(picture: Picture, targets: Sequence[Target], answer: str, png: str) -> dict[str, Any]:
    width, height = picture.image.size
    found = say_number(
        len(targets), "{name}: {number} target", "{name}: {number} targets", name=picture.name
    )
    return {
        "name": picture.name,
        "src": to_address(picture.png),
        "width": width,
        "height": height,
        "says": found if targets else picture.name,
        "png": to_address(png) if png else "",
        "file": say("{name} with targets.png", name=Path(picture.name).stem),
        "targets": [
            {**_target(target, min(width, height)), **_words(target, answer)} for target in targets
        ],
    }


def _words(target: Target, answer: str) -> dict[str, Any]:
    """Return what the answer says about a target, to be found where it cannot be a link."""
    start, end = target.span
    return {"words": strip_markers(answer[start:end]), "start": start}


def _target(target: Target, shorter_side: int) -> dict[str, Any]:
    score = show_score(target.score)
    end = target.end
    if end is None and target.direction and target.at is not None:
        x, y = DIRECTIONS[target.direction]
        length = ARROW_SHARE * shorter_side
        end = (target.at[0] + x * length, target.at[1] + y * length)
    mark = _MARKS.get(target.gesture, "cross")
    if mark == "arrow" and end is None:
        mark = "cross"
    number = f"#{target.number}"
    said = [_shorten(target.label), score, _say_place(target)]
    return {
        "number": target.number,
        "mark": mark,
        "colour": COLOURS[(target.number - 1) % len(COLOURS)],
        "plate": _plate(target) or number,
        "short": number,
        "score": score,
        "says": say(", ").join(filter(None, [number, say_kind(target), *said])),
        "dashed": target.score is not None and target.score < LOW_SCORE,
        "box": target.box,
        "at": target.at,
        "end": end if mark == "arrow" else None,
    }


def _plate(target: Target) -> str:
    if target.gesture in ("box", "point"):
        return _shorten(target.label)
    if target.gesture == "type":
        return _shorten(f"{target.kind} “{target.text}”")
    return target.kind


def _say_place(target: Target) -> str:
    numbers = " ".join(str(round(number)) for number in target.box or target.at or ())
    return say("at {numbers}", numbers=numbers)


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_PLATE_CHARACTERS else text[: _MAX_PLATE_CHARACTERS - 1] + "…"


def _file(title: str, name: str, text: str) -> dict[str, str]:
    return {"title": title, "name": name, "type": "application/json", "text": text}
