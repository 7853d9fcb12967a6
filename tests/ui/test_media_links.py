"""Times and pages of an answer lead to the file that has them, and nothing else becomes a link."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from grounding import Place
from ui.conversation import Attached, Item, Picture, Turn
from ui.rendering.linking import to_linked_markdown
from ui.rendering.marking import mark, mark_complete
from ui.rendering.media_links import find_mentions, key_of
from ui.rendering.media_view import to_media_html
from ui.targets.target import Target

BLANK = Image.new("RGB", (20, 10))


def make_clip(name: str, duration_s: float) -> Attached:
    picture = Picture(f"{name}, 0:00.0", BLANK, "/f/0.png", Place("frame", time_s=0.0))
    items = (Item("0:00.0", 1, "/f/0.png"),)
    return Attached(name, "video", (), (picture,), items, path=f"/up/{name}", duration_s=duration_s)


def make_document(name: str, *pages: int) -> Attached:
    pictures = tuple(
        Picture(f"{name}, page {n}", BLANK, f"/f/{n}.png", Place("page", n)) for n in pages
    )
    items = tuple(Item(f"Page {n}", 1, f"/f/{n}.png") for n in pages)
    return Attached(name, "document", (), pictures, items, path=f"/up/{name}")


CLIP = make_clip("talk.mp4", 4000.0)
REPORT = make_document("report.pdf", 1, 2, 3, 4, 5)


def find(answer: str, *files: Attached) -> list[tuple[str, str, str]]:
    """Return what is linked: the words, the file and the place in it."""
    names = {key_of(file): file.name for file in files}
    found = []
    for start, end, address in find_mentions(answer, files):
        _, key, place = address.split("-", 2)
        found.append((answer[start:end], names[key], place))
    return found


@pytest.mark.parametrize(
    ("answer", "words", "seconds"),
    [
        ("It starts at 0:42.", "0:42", "42"),
        ("[00:42.5] a cat", "00:42.5", "42.5"),
        ("By 1:02:03 it is over", "1:02:03", "3723"),
        ("**65:00**: later", "65:00", "3900"),
        ("在0:42时", "0:42", "42"),
        ("It falls at 12 s.", "12 s", "12"),
        ("at about 12.5 seconds", "12.5 seconds", "12.5"),
        ("at the 12-second mark", "12-second mark", "12"),
        ("the frame at t=7s", "7s", "7"),
        ("in second 9 it", "second 9", "9"),
        ("第12秒", "第12秒", "12"),
        ("在1分05秒处", "1分05秒", "65"),
    ],
)
def test_a_time_leads_to_its_second(answer: str, words: str, seconds: str) -> None:
    assert find(answer, CLIP) == [(words, "talk.mp4", seconds)]


@pytest.mark.parametrize(
    "answer",
    [
        "It lasts 12 seconds.",
        "at 12 seconds per frame",
        "ratio 16:9, score 3:1, 1:2:3",
        "http://a.b/?t=0:42 and [see 0:42](http://a.b)",
        "at 3:15 pm",
        "192.168.0.1:8080 and a:10:20",
        "at 2:00:00",  # beyond the end
        "12:345 and 0:75",
        "page 3",
    ],
)
def test_what_is_no_time_of_the_clip_is_no_link(answer: str) -> None:
    assert find(answer, CLIP) == []


def test_both_ends_of_a_stretch_are_links() -> None:
    assert [place for _, _, place in find("from 3 to 5 seconds, 0:10-0:12", CLIP)] == [
        "3",
        "5",
        "10",
        "12",
    ]


@pytest.mark.parametrize(
    ("answer", "linked"),
    [
        ("See page 3.", [("page 3", "3")]),
        ("(p. 3)", [("p. 3", "3")]),
        ("pages 3-5", [("pages 3", "3"), ("5", "5")]),
        ("Pages 1, 2 and 4", [("Pages 1", "1"), ("2", "2"), ("4", "4")]),
        ("Page 3 of report.pdf", [("Page 3", "3")]),
        ("第3页", [("第3页", "3")]),
        ("第2-4页", [("第2", "2"), ("4", "4")]),
        ("slide 2", [("slide 2", "2")]),
        ("page 3 and 4 people on page 9", [("page 3", "3")]),
        ("webpage 3, homepage 2, page three", []),
    ],
)
def test_a_page_that_the_document_has_is_a_link(answer: str, linked: list[tuple[str, str]]) -> None:
    assert [(words, place) for words, _, place in find(answer, REPORT)] == linked


def test_of_several_files_the_one_named_nearby_counts_or_else_the_last() -> None:
    other, clip = make_document("other.pdf", 1, 2), make_clip("b.mp4", 5.0)
    files = (REPORT, other, CLIP, clip)
    answer = (
        "Page 1 of report.pdf, page 2 of other.pdf, page 2\n\n## report\n- page 5\n"
        "- page 2 of other\n0:03 in b.mp4, in talk.mp4 at 1:00; b.mp4: 1:00"
    )
    assert find(answer, *files) == [
        ("Page 1", "report.pdf", "1"),
        ("page 2", "other.pdf", "2"),
        ("page 2", "other.pdf", "2"),
        ("page 5", "report.pdf", "5"),
        ("page 2", "other.pdf", "2"),
        ("0:03", "b.mp4", "3"),
        ("1:00", "talk.mp4", "60"),
    ]
    assert find("page 2, at 0:03", *files) == [("page 2", "other.pdf", "2"), ("0:03", "b.mp4", "3")]


def test_mentions_keep_clear_of_targets_code_and_formulas() -> None:
    answer = "page 1, [1,2] page 2 `page 3` $page 4$\n```\npage 5\n```\n"
    start = answer.index("[1,2]")
    targets = [Target(1, "Box", "box", at=(1, 1), span=(start, start + len("[1,2] page 2")))]
    shown = to_linked_markdown(answer, targets, find_mentions(answer, [REPORT]))
    key = key_of(REPORT)
    assert re.findall(r"\]\((#[^)]*)\)", shown) == [f"#page-{key}-1", "#target-1"]
    assert "`page 3`" in shown and "\npage 5\n" in shown


def test_an_answer_links_into_the_files_of_its_question() -> None:
    turn = Turn("?", (CLIP, REPORT), answer="At 0:42; see page 3.")
    address = f"](#time-{key_of(CLIP)}-42)"
    assert address in mark(turn, turn.pictures).shown.answer
    done = mark_complete(turn, turn.pictures, ())
    assert address in done.shown.answer
    assert f"[page 3](#page-{key_of(REPORT)}-3)" in done.shown.answer
    assert "](#" not in mark(Turn("?", answer="At 0:42; see page 3."), ()).shown.answer


def test_a_file_is_data_in_the_page() -> None:
    nasty = make_document('"><img src=x onerror=alert(1)>.pdf', 1)
    html = to_media_html(nasty)
    assert "<img" not in html and html.count("<") == 2
    assert to_media_html(Attached("a.txt", "text", ())) == ""
    assert Path("/up/talk.mp4").name in to_media_html(CLIP)
