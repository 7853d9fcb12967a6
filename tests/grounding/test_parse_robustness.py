from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grounding import parse, strip_markers

SIZE = (407, 663)
# Sixteen times the text may cost so many times as much: linear is 16, quadratic 256. Both are
# processor time of this process in the same run, so a slow machine changes neither, and the margin
# of five on both sides is for a busy one.
LONGER, MAX_GROWTH = 16, 80
MEASURABLE_S = 0.004
PIECES = [
    "[", "]", "[[", "]]", "(", ")", "<", ">", "{", "}", "'", '"', "\\", '\\"', ",", " ", "\n", ":",
    "1", "12.5", "-3", "1e9", "999", "1001", "NaN", "null", "box", "do", "```", "`", "/*", "//",
    "#", "<|begin_of_box|>", "<|end_of_box|>", "<think>", "</think>", "<answer>", "</answer>",
    "<bbox>", '"bbox_2d"', '"label"', "Memory:", "Action:", "left_click(", "start_box=",
    "type(content='", "')", "image 2", "【", "（", "１", "图1", "\u0000", "\ud800", "…", "DONE",
    "<ref>", "</ref>", "<box>", "</box>", "<point>", "</point>", "<|box_start|>", "<|box_end|>",
    "<|det|>", "<|/det|>", "<loc0100>", "<loc_100>", "<patch_index_0044>", "<object>", "</object>",
    '<point x="1', '" y="2">', '<points coords="1 1 2 3', "<tool_call>", "</tool_call>",
    "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "<function=f>", "<parameter=p>",
    '{"action": "click"', '"coordinate": [1,2]', '{"name": "f", "arguments": {', "}", "}}",
    "\\boxed{", "Click [7]", "CLICK ", "pyautogui.click(", "x=1", "do(action=", "◁think▷",
    "◁/think▷", "page 3", "0:12", '"POINT":[1,2]', '"page": 2', "{0:[", "Status:",
    "Grounded Operation:", "\t", "action:", "point:1,2", "), (", "),(", "),", "|",
    "| a | box |\n|---|---|\n| b | ",
]  # fmt: skip

# Each is repeated to a long text; such texts cost quadratic time in one parser or another.
ADVERSARIAL = [
    "[", "]", "(", "{", "<", "[]", "[[", "[1,", "[[1,2,3,4],", "[1,2,3,4]", "(1 ", "{1,", "1,",
    "9", "[9", '["', "['", "[\\'", '[\\"', '{"a', '{"a":', '{"a":{', "{a:'", '{"a":"\\', "/*",
    "[/*", "[//", "`", "```\n", "```\n[1,2,3,4]\n```\n", "<think>", "</think>", "<|begin_of_box|>",
    "<|begin_of_box|>[[1,2,3,4]]<|end_of_box|>", "<|end_of_box|>", "<|", "<answer>", "<bbox>",
    "Memory:\n", "Action:\n", "\n \t*", " ", "\n", "type(content='", "type(content=')", "')",
    "type(content='a', ", "left_click(start_box='[1,2]')", "key(", "do(action=[", "done()",
    "image 1 ", "Image 1 [[1,2,3,4]] ", "\\n", "\\", "x [1, don't ", "'", '"', "{'a': 'b", "【",
    "（1，", '[{"bbox_2d":[1,2,3,4],"label":"a"},', '{"a":[', "[1,[", "[[1 ", "<point>1 2",
    "done ", "…", "do(action=[1,2,", "<|user|> ", "{\"a\":1 ", "[\n'", "['[", "[{'", "{'",
    "<ref>", "<ref>a</ref>", "<box>", "<box>1 2 3 4</box>", "<box>(1,2),(3,4",
    "<|det|>[[1,2,3,4]]",
    "<loc0100>", "<loc0100><loc0100><loc0100><loc0100> a ; ", "<loc_1>", "a<loc_1>", "<object>",
    "<patch_index_0001>", "<phrase>a", '<point x="1"', '<point x="1" y="2">',
    '<points coords="1 1 2 3',
    "<points a='", "<tool_call>", "<tool_call>a\n<arg_key>", "<arg_key>a</arg_key><arg_value>1",
    "<function=f>", "<function=f><parameter=p>1", '{"action":"click","coordinate":[1,2]}',
    '{"name":"f","arguments":{', '{"POINT":[1,2]}', "\\boxed{", "\\boxed{1}", "{}", "}",
    "Click [7]\n",
    "Action: Type [7]; [", "CLICK <point>", "TYPE [", "ANSWER; <content>", "Key; ",
    "pyautogui.click(1, 2)",
    "pyautogui.write('", "pyautogui.hotkey('a', ", "click(1, ", "a(", "a.b(", "◁think▷", "page 3 ",
    "0:12 ", "12 s ", "frame 4: [[1,2,3,4]] ", "(1,2),(3,4) ", "(1,2),", '{0:[{"bbox":[1,2,3,4]}],',
    "Status: ", "Thought: a\nAction: b\n", "action:A\tpoint:1,2\t", "\u3000", "图1", "第3页",
    "a ", "\t", "|", "| [1,2,3,4] ", "|a|\n|-|\n", "|-\n", "|-", "\nDONE ",
    "Memory: a\nAction:\nDONE\n", "a|b\n-|-\n|[1,2,3,4]|x\n",
    "the quick brown fox, ", '{"bbox_2d":"[1,2,3,4]"}', '{"a":"{box',
    '{"x1":1,"y1":2,"x2":3,"y2":4}',
]  # fmt: skip


def cpu_seconds(text: str, repeats: int = 1) -> float:
    times = []
    # as timeit does: a collection walks over everything that other tests have left in memory
    gc.disable()
    try:
        for _ in range(repeats):
            start = time.process_time()
            parse(text, [SIZE, SIZE])
            strip_markers(text)
            times.append(time.process_time() - start)
    finally:
        gc.enable()
    return min(times)


def growth(make_text: Callable[[int], str]) -> float:
    """Cost of `LONGER` times the text over the cost of a text that takes milliseconds."""
    count = 64
    while (short := cpu_seconds(make_text(count), repeats=3)) < MEASURABLE_S:
        count *= 2
    return cpu_seconds(make_text(count * LONGER), repeats=2) / short


@pytest.mark.parametrize("piece", ADVERSARIAL)
def test_no_repeated_piece_of_markup_costs_more_than_linear_time(piece: str) -> None:
    assert growth(lambda count: piece * count) < MAX_GROWTH


def test_words_after_many_lists_cost_linear_time() -> None:
    assert growth(lambda n: "[" + "[1]," * n + "1, " + "x " * n) < MAX_GROWTH


@given(st.text())
def test_any_text_gives_a_result(text: str) -> None:
    result = parse(text, [SIZE])
    assert all(0 <= box.x0 < box.x1 <= 407 and 0 <= box.y0 < box.y1 <= 663 for box in result.boxes)


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_mixture_of_markup_gives_boxes_inside_the_image(text: str) -> None:
    result = parse(text, [SIZE, (10, 20)])
    for box in result.boxes:
        width, height = [SIZE, (10, 20)][box.image_index]
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
    for point in result.points:
        width, height = [SIZE, (10, 20)][point.image_index]
        assert 0 <= point.x <= width and 0 <= point.y <= height


def check_fragments(text: str) -> None:
    for is_complete in (True, False):
        for convention in ("auto", "gemini"):
            parse(text, [SIZE, (10, 20)], convention, is_complete=is_complete)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_a_thousand_texts_of_the_formats_own_fragments_give_results(text: str) -> None:
    check_fragments(text)


@pytest.mark.slow
@settings(max_examples=5_000, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_five_thousand_texts_of_the_formats_own_fragments_give_results(text: str) -> None:
    check_fragments(text)


@settings(max_examples=200, deadline=None)
@example('{0:12"POINT":[1,2]<|begin_of_box|>')
@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_nothing_that_a_growing_reply_reports_vanishes_or_changes(text: str) -> None:
    text = "<think>x</think>" + text
    seen: list[list] = [[], [], []]
    for length in range(len(text) + 1):
        result = parse(text[:length], [SIZE], is_complete=False)
        now = [result.boxes, result.points, result.actions]
        assert [kind[: len(old)] for kind, old in zip(now, seen, strict=True)] == seen
        seen = now


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_without_images_nothing_is_placed(text: str) -> None:
    result = parse(text, [])
    assert (result.boxes, result.points) == ([], [])


def test_model_text_is_never_evaluated(tmp_path: object) -> None:
    target = f"{tmp_path}/made"
    parse(f"[[__import__('os').mkdir('{target}'), 2, 3, 4]]", [SIZE])
    with pytest.raises(FileNotFoundError):
        open(target)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("At <|begin_of_box|>[[1,2,3,4]]<|end_of_box|>.", "At [[1,2,3,4]]."),
        ("<answer>a < b and c > d</answer>", "a < b and c > d"),
        ("Growing <|begin_of_b", "Growing "),
        ("Growing <|", "Growing "),
        ("<|assistant|>\nHello<|user|>", "\nHello"),
        ("a < b", "a < b"),
        ("x <|custom|> y", "x <|custom|> y"),
        ("ends with <", "ends with <"),
    ],
)
def test_markers_are_stripped_and_contents_stay(text: str, shown: str) -> None:
    assert strip_markers(text) == shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"convention": "norm10"}, "unknown coordinate convention 'norm10'; known: auto, "),
        ({"convention": "resized"}, "give its size as model_size"),
        ({"convention": "resized", "model_size": [(1, 1), (2, 2)]}, "2 model sizes for 1 images"),
    ],
)
def test_wrong_options_say_what_to_do(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse("", [SIZE], **options)


def test_an_empty_image_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        parse("", [(0, 10)])


def test_of_a_reply_too_long_to_be_read_its_beginning_counts() -> None:
    one = '{{"bbox_2d": [{}, 5, 950, 999], "label": "cat {}"}}'
    text = "[" + ", ".join(one.format(i % 900, i) for i in range(20_000)) + "]"
    result = parse(text, [SIZE])
    assert len(result.boxes) > 5000
    assert "too long to be read to its end" in result.notes[0]
