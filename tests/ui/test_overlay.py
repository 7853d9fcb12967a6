"""What the page draws of an answer: data in an attribute, whatever a model says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from PIL import Image

from ui.conversation import Attached, Picture, Turn
from ui.rendering.findings import to_table
from ui.rendering.marking import give_unnamed, has_unnamed, mark, mark_complete
from ui.rendering.overlay import read_script, to_html
from ui.targets.target import Gesture, Target

NASTY = """"><img src=x onerror=alert(1)> ' & </sightline-overlay><script>"""


def picture(name: str = "a.png", size: tuple[int, int] = (200, 100)) -> Picture:
    return Picture(name, Image.new("RGB", size), f"/files/{name}")


def read(html: str) -> dict[str, Any]:
    found = re.fullmatch(r'<sightline-overlay data-view="([^"<>]*)"></sightline-overlay>', html)
    assert found is not None, html
    return json.loads(unescape(found[1]))


def only_target(target: Target, **options: Any) -> dict[str, Any]:
    (page,) = read(to_html([picture()], [target], **options))["pages"]
    (drawn,) = page["targets"]
    return drawn


def test_text_of_a_model_stays_inside_of_the_attribute() -> None:
    target = Target(1, "Box", "box", NASTY, box=(1, 2, 3, 4), at=(2, 3))
    view = read(to_html([picture(NASTY)], [target]))
    assert view["pages"][0]["targets"][0]["plate"] == " ".join(NASTY.split())
    assert view["pages"][0]["name"] == NASTY
    table = to_table([target], [picture(NASTY)], "glm")
    assert "<img" not in table and "&lt;img" in table


def test_a_score_is_shown_and_a_low_one_drawn_dashed() -> None:
    sure, unsure = (
        only_target(Target(1, "Box", "box", "a", score=score, box=(1, 2, 3, 4), at=(2, 3)))
        for score in (0.874, 0.31)
    )
    assert (sure["score"], sure["dashed"]) == ("87\u00a0%", False)
    assert (unsure["score"], unsure["dashed"]) == ("31\u00a0%", True)
    assert "87\u00a0%" in sure["says"]
    rows = [Target(1, "Box", "box", score=0.874, box=(1, 2, 3, 4), at=(2, 3))]
    assert "<td>87\u00a0%</td>" in to_table(rows, [picture()], "glm")
    assert "Score" not in to_table([Target(1, "Box", "box", at=(2, 3))], [picture()], "glm")


def test_the_table_says_what_its_numbers_come_from() -> None:
    seen = replace(picture("b.png", (1280, 800)), sent_size=(1274, 798))
    target = Target(1, "Box", "box", box=(1, 2, 3, 4), at=(2, 3), image_index=1)
    table = to_table([target], [picture(), seen], "resized")
    assert "b.png: 1280 × 800 pixels, seen by the model as 1274 × 798" in table
    assert "Coordinates of the answer read as: resized" in table
    assert "a.png" not in table


@pytest.mark.parametrize(
    ("gesture", "direction", "mark", "end"),
    [
        ("click", "", "cross", None),
        ("point", "", "point", None),
        ("type", "", "caret", None),
        ("scroll", "down", "arrow", [50, 75]),  # 15 % of the shorter side
        ("scroll", "", "cross", None),
        ("swipe", "left", "arrow", [35, 60]),
    ],
)
def test_actions_have_their_own_marks(
    gesture: Gesture, direction: str, mark: str, end: list[float] | None
) -> None:
    drawn = only_target(Target(1, "do", gesture, at=(50, 60), direction=direction))
    assert (drawn["mark"], drawn["end"]) == (mark, end)


def test_a_drag_is_an_arrow_to_its_end() -> None:
    drawn = only_target(Target(1, "left_drag", "drag", at=(50, 60), end=(10, 20)))
    assert (drawn["mark"], drawn["at"], drawn["end"]) == ("arrow", [50, 60], [10, 20])


def test_only_pictures_with_targets_are_shown_and_each_with_its_own() -> None:
    pictures = [picture(f"{i}.png") for i in range(3)]
    targets = [Target(n, "Point", "point", image_index=i, at=(1, 1)) for n, i in ((1, 2), (2, 0))]
    pages = read(to_html(pictures, targets))["pages"]
    assert [page["name"] for page in pages] == ["0.png", "2.png"]
    assert [[t["number"] for t in page["targets"]] for page in pages] == [[2], [1]]


def test_a_growing_answer_has_nothing_to_take_away_yet() -> None:
    target = Target(1, "Point", "point", at=(1, 1))
    assert read(to_html([picture()], [target], is_complete=False))["formats"] == []
    assert read(to_html([picture()], [target]))["lines"]["pixels"] == {"1": "1, 1"}


def turn_about(answer: str) -> tuple[Turn, list[Picture]]:
    pictures = [picture("a.png"), picture("b.png", (400, 400))]
    return Turn("?", (Attached("a", "image", (), tuple(pictures)),), answer=answer), pictures


def test_boxes_of_no_named_picture_can_be_given_to_another() -> None:
    turn, pictures = turn_about("[[100,100,200,200]] and [[500,500,600,600]] (image 2)")
    turn = mark_complete(turn, pictures, ["Stopped."])
    assert [target.image_index for target in turn.targets] == [0, 1]
    assert turn.notes == (
        "Stopped.",
        "The reply does not say which image it means; taken as image 1.",
    )
    assert has_unnamed(turn, pictures)
    again = give_unnamed(turn, pictures, 1)
    assert [target.image_index for target in again.targets] == [1, 1]
    assert again.targets[0].box == (40, 40, 80, 80)
    assert again.notes == ("Stopped.",)
    assert has_unnamed(again, pictures)  # and can be given back


def test_there_is_no_choice_where_every_box_names_its_picture() -> None:
    turn, pictures = turn_about("[[100,100,200,200]] (image 1)")
    assert not has_unnamed(mark(turn, pictures), pictures)
    assert not has_unnamed(mark(turn, pictures[:1]), pictures[:1])


def test_the_script_can_run_again_on_the_same_page() -> None:
    script = read_script()
    assert script.startswith('if (!customElements.get("sightline-overlay")) {')
    assert script.count('define("sightline-overlay"') == 1
