"""A run as JSON and as one HTML page."""

from __future__ import annotations

import json
import math
import re

from PIL import Image

from agent import Run, Step, to_html, to_json
from grounding import Action, Box

SCREEN = Image.new("RGB", (200, 100), "white")
NASTY = "<script>pwned=1</script>\"'&<img src=x onerror=pwned=1>"
DRAG = Action("left_drag", {"start_box": "[100,200]"}, (20.0, 20.0), (100.0, 50.0))


def run() -> Run:
    step = Step(
        SCREEN, NASTY, NASTY, Action(NASTY, {NASTY: NASTY}, (20, 20)), NASTY, NASTY,
        (Box(10, 10, 30, 30, label=NASTY),), NASTY, NASTY, (NASTY,),
    )  # fmt: skip
    return Run("pc", NASTY, False, (step, Step(SCREEN, "", "", DRAG, "")), "done", SCREEN, (NASTY,))


def test_all_texts_of_the_report_are_escaped() -> None:
    html = to_html(run())
    assert "<script" not in html
    assert re.findall(r"<img (?!alt=)", html) == []
    assert html.count("&lt;script&gt;pwned=1&lt;/script&gt;") >= 7


def test_the_report_holds_its_pictures_and_fetches_nothing() -> None:
    html = to_html(run())
    sources = re.findall(r'src="([^"]{0,22})', html)
    assert sources == ["data:image/png;base64,"] * 3
    assert "default-src 'none'" in html


def test_the_report_draws_boxes_targets_and_drags() -> None:
    first, second, last = to_html(run()).split('<div class="screen"')[1:]
    assert '<rect x="10.0" y="10.0" width="20.0" height="20.0"' in first
    assert '<circle cx="20.0" cy="20.0"' in first
    assert '<line x1="20.0" y1="20.0" x2="100.0" y2="50.0"' in second
    assert "<circle" not in last


def test_json_has_places_in_pixels_and_in_thousandths() -> None:
    described = json.loads(to_json(run()))
    assert (described["platform"], described["state"], described["goal"]) == ("pc", "done", NASTY)
    first, second = described["steps"]
    assert first["boxes"] == [
        {"xyxy": [10, 10, 30, 30], "norm": [50, 100, 150, 300], "label": NASTY}
    ]
    assert second["action"] == {
        "type": "left_drag",
        "args": {"start_box": "[100,200]"},
        "target": [20, 20],
        "target_norm": [100, 200],
        "end": [100, 50],
        "end_norm": [500, 500],
    }
    assert second["size"] == [200, 100]


def test_json_has_no_number_without_an_end() -> None:
    endless = {"duration": math.inf, "args": {"a": [1, math.nan, ["b", 0.5]]}}
    step = Step(SCREEN, "", "", Action("wait", endless), "")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    described = json.loads(to_json(Run("pc", "goal", steps=(step,))), parse_constant=refuse)
    assert described["steps"][0]["action"]["args"] == {
        "duration": None,
        "args": {"a": [1, None, ["b", 0.5]]},
    }
