from __future__ import annotations

from typing import Any

import pytest

from grounding import parse

SIZE = (2000, 1000)  # norm1000: x doubles, y stays
A, Z = "<|begin_of_box|>", "<|end_of_box|>"


def boxes(text: str, **options: Any) -> list[tuple[float, ...]]:
    return [box.xyxy for box in parse(text, [SIZE], **options).boxes]


ONE = (200, 200, 600, 400)  # of [100, 200, 300, 400]
TWO = (1000, 600, 1400, 800)  # of [500, 600, 700, 800]


@pytest.mark.parametrize(
    "content",
    [
        "[[100,200,300,400]]",
        "[100,200,300,400]",
        "[100, 200, 300, 400]",
        "(100,200,300,400)",
        "<100,200,300,400>",
        "<<100,200,300,400>>",
        "{100,200,300,400}",
        "<bbox>100,200,300,400</bbox>",
        "<bbox>[100,200,300,400]</bbox>",
        "[[100 200 300 400]]",
        "[\n  [100,\n 200,\n 300,\n 400]\n]\n",
        "[[100.0,200.0,300.0,400.0]]",
        "[[100,0200,300,0400]]",
        "[[[100,200,300,400]]]",
        "[[100,200,300,400],]",
        "[[100,200,300,400], ...]",
        "【【100,200,300,400】】",
        "[[１００，２００，３００，４００]]",
        '```json\n[{"bbox_2d": [100,200,300,400]}]\n```',
    ],
)
def test_every_bracket_style_between_box_tokens_is_one_box(content: str) -> None:
    assert boxes(f"The button is at {A}{content}{Z}.") == [ONE]


@pytest.mark.parametrize(
    "text",
    [
        f"{A}[[100,200,300,400],[500,600,700,800]]{Z}",
        f"{A}[100,200,300,400],[500,600,700,800]{Z}",
        f"{A}[100,200,300,400]\n[500,600,700,800]{Z}",
        f"{A}[[100,200,300,400] [500,600,700,800]]{Z}",
        f"First {A}[[100,200,300,400]]{Z}, then {A}(500,600,700,800){Z}.",
        "<|start_of_box|>[[100,200,300,400],[500,600,700,800]]<|end_of_box|>",
        f"{A}{A}[[100,200,300,400]]{Z}[[500,600,700,800]]{Z}",
        "They are at [[100,200,300,400]] and [[500,600,700,800]].",
        "They are at [[100, 200, 300, 400], [500, 600, 700, 800]].",
        "- Save: [100,200,300,400]\n- Open: (500,600,700,800)",
        "<answer>[[100,200,300,400],[500,600,700,800]]</answer>",
        "| Save | [100,200,300,400] |\n| Open | [500,600,700,800] |",
        "`[[100,200,300,400]]` and `[[500,600,700,800]]`",
        "```\n[[100,200,300,400], [500,600,700,800]]\n```",
        "按钮在[[100,200,300,400]]，链接在（500，600，700，800）。",
    ],
)
def test_several_boxes_are_found_in_order(text: str) -> None:
    assert boxes(text) == [ONE, TWO]


@pytest.mark.parametrize(
    "text",
    [
        "It starts at [10:30, 11:00, 12:15, 13:45].",
        "Between 2019-01-05 and 2020-03-04, or [2019, 2020, 2021, 2022].",
        "The prices are [199, 299, 399, 499] and ($1, $2, $3, $4).",
        "Versions [1.2.3, 1.2.4, 2.0.0, 2.1.0] and v(1.2, 1.3, 1.4, 1.5).",
        "As shown before [1, 4, 9, 12] and in [3].",
        "IP 192.168.0.1, phone (030) 123 45 67, [192.168.0.1].",
        "The interval [0, 100], the half-open [1, 5), the range (100-200, 300-400).",
        "GPS (48.8584, 2.2945)",
        "Colour rgb(255, 128, 64, 1) or rgba(10, 20, 300, 400).",
        "Use [[x1,y1,x2,y2], ...] as the format.",
        "```python\nbox = [[100, 200, 300, 400]]\nprint(box)\n```",
        "Call `draw([100, 200, 300, 400])` first.",
        "```\nx = [[100, 200, 300, 400]]\nunclosed fence",
        "The matrix is [[1, 2, 3], [4, 5, 6]].",
        '{"size": [100, 200, 300, 400], "area": [[1, 2, 3, 4]]}',
        '{"bbox_3d": [1, 2, 3, 4, 5, 6, 7, 8, 9], "label": "car"}',
        '{"label": "none", "bbox_2d": null}',
        "Memory: saw [[100, 200, 300, 400]]\nReason: maybe [[5, 6, 70, 80]]\nAction: Wait",
        "a < 5 and 6 > 3",
        "Click [7]",
    ],
)
def test_lists_that_are_no_places_give_no_boxes_or_points(text: str) -> None:
    result = parse(text, [SIZE])
    assert (result.boxes, result.points) == ([], [])


BOX = "[100,200,300,400]"


@pytest.mark.parametrize(
    "text",
    [
        f"| item | quarterly sales |\n|---|---|\n| A | {BOX} |",
        f"| item | quarterly sales |\n|:--|--:|\n| A | [{BOX}] |\n| B | [[500,600,700,800]] |",
        f"item | sales\n--- | ---\nA | {BOX}",
        f"| item | box | sales |\n|---|---|---|\n| A | none | {BOX} |",
        f"| 商品 | 销量 |\n|---|---|\n| A | {BOX} |",
        f"{A}| item | sales |\n|---|---|\n| A | {BOX} |{Z}",
        f"| a\\|b | sales |\r\n|---|---|\r\n| c\\|d | {BOX} |\r\n",
    ],
)
def test_a_list_in_a_table_of_data_is_no_box(text: str) -> None:
    assert boxes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        f"| item | bbox |\n|---|---|\n| A | {BOX} |",
        f"| a | **Bounding box** (x1, y1) | sales |\n|---|---|---|\n| A | {BOX} | [5,6,70,80] |",
        f"item | coordinates\n--- | ---\nA | {BOX}",
        f"| a\\|b | position |\n|---|---|\n| c\\|d | {BOX} |",
        f"| 元素 | 坐标 |\n|---|---|\n| A | {BOX} |",
        f"| 元素 | 边界框 |\n|---|---|\n| A | {BOX} |",
        f"| 位置 | 元素 |\n|---|---|\n| {BOX} | A |",
        f"| attribute | value |\n|---|---|\n| bbox_2d | {BOX} |",
        f"| item | sales |\n|---|---|\n| A | {A}{BOX}{Z} |",
        f"| item | sales |\n|---|---|\n| A | 7 |\n\nThe button is at {BOX}.",
        f"{A}| item | bbox |\n|---|---|\n| A | {BOX} |{Z}",
        f'| item | found |\n|---|---|\n| A | {{"bbox_2d": {BOX}}} |',
    ],
)
def test_a_list_in_a_column_of_coordinates_or_outside_of_tables_is_a_box(text: str) -> None:
    assert boxes(text) == [ONE]


def test_coordinates_between_box_tokens_win_over_prose() -> None:
    text = f"Perhaps [[10,20,30,40]]? No: {A}[[100,200,300,400]]{Z}."
    assert boxes(text) == [ONE]


def test_prose_counts_when_the_box_tokens_hold_another_answer() -> None:
    result = parse(f"At [[100,200,300,400]] it says {A}42{Z}.", [SIZE])
    assert [box.xyxy for box in result.boxes] == [ONE]
    assert result.answer == "42"


@pytest.mark.parametrize(
    "content",
    ["42", "B", "(2, 5)", "[1, 2, 3]", "[1, 2, 3, 4]", r"\frac{1}{2}", "not found", "a < b, c > d",
     '{"total": 42}', "x ∈ [0, 1]", "[2019, 2020, 2021, 2022]", "3, 5, 8, 13"],
)  # fmt: skip
def test_an_answer_that_is_no_place_is_kept_verbatim(content: str) -> None:
    result = parse(f"The result is {A} {content}\n{Z}.", [SIZE])
    assert result.answer == content
    assert (result.boxes, result.points) == ([], [])


@pytest.mark.parametrize("text", [f"{A}{A}42{Z}{Z}", rf"\boxed{{{A}42{Z}}}", f"{A} {A}42{Z}"])
def test_the_answer_between_nested_tokens_is_free_of_tokens(text: str) -> None:
    assert parse(text, [SIZE]).answer == "42"


def test_the_answer_of_a_box_is_the_text_without_tokens() -> None:
    result = parse(f"It is at {A}[[1,2,3,4]]{Z}.<|user|>", [SIZE])
    assert result.answer == "It is at [[1,2,3,4]]."


@pytest.mark.parametrize(
    ("text", "points"),
    [
        (f"{A}[[100,200],[300,400]]{Z}", [(200, 200), (600, 400)]),
        (f"{A}[100, 200]{Z}", [(200, 200)]),
        ('[{"point_2d": [100, 200], "label": "eye"}]', [(200, 200)]),
        ('[{"points": [[100, 200], [300, 400]]}]', [(200, 200), (600, 400)]),
        ("The points are [[100, 200], [300, 400]].", [(200, 200), (600, 400)]),
        ("It is at <point>100 200</point>.", [(200, 200)]),
    ],
)
def test_points_are_found(text: str, points: list[tuple[float, float]]) -> None:
    result = parse(text, [SIZE])
    assert [point.xy for point in result.points] == points
    assert result.boxes == []


@pytest.mark.parametrize(
    "text",
    [
        '[{"bbox_2d": [100,200,300,400], "label": "Save"}]',
        '```json\n[{"bbox_2d": [100,200,300,400], "label": "Save"}]\n```',
        '```python\n[{"bbox_2d": [100,200,300,400], "label": "Save"}]',
        "[{'bbox_2d': [100,200,300,400], 'label': 'Save',}]",
        "{'label': \"Save\", bbox_2d: (100,200,300,400)}",
        '{"label": "Save" "bbox_2d": [[100,200,300,400]]}',
        '{"bbox_2d": ["100","200","300","400"], "name": "Save", "mask": None}',
        '{"bbox_2d": "[100, 200, 300, 400]", "label": "Save"}',
        '"[{\\"bbox_2d\\": [100,200,300,400],\\n \\"label\\": \\"Save\\"}]"',
        '{"bbox": {"xmin": 100, "ymin": 200, "xmax": 300, "ymax": 400}, "label": "Save"}',
        '{"x": 100, "y": 200, "width": 200, "height": 200, "label": "Save"}',
        '{"label": "Save", "box": [[100,200],[300,400]], // corners\n}',
        '{"Save": [100,200,300,400]}',
        "{0: [{'label': 'Save', 'bbox_2d': [100,200,300,400]}], 1: []}",
        '{"detections": [{"label": "Save", "bbox_2d": [100,200,300,400]}], "size": [1, 2, 3, 4]}',
        f'{A}[{{"bbox_2d": [100,200,300,400], "label": "Save"}}]{Z}',
        'Here: {"bbox_2d": [100,200,300,400], "label": "Save"} as you asked, [1, 2].',
        '［｛"label"："Save"，"bbox_2d"：［１００，２００，３００，４００］｝］',
    ],
)
def test_detection_json_is_read_in_every_spelling(text: str) -> None:
    result = parse(text, [SIZE])
    assert [(box.xyxy, box.label) for box in result.boxes] == [(ONE, "Save")]


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ('"保存 ✓ [1]"', "保存 ✓ [1]"),
        ('"the "Save" button"', 'the "Save" button'),
        ("'Don't save, ever'", "Don't save, ever"),
        (r'"a \"quoted\" \u4fdd\ud83d\ude00"', 'a "quoted" 保😀'),
        (r'"C:\new {x}"', "C:\new {x}"),
        ("7", "7"),
        ("Save as", "Save as"),
    ],
)
def test_labels_keep_quotes_brackets_and_all_scripts(written: str, label: str) -> None:
    result = parse(f'[{{"label": {written}, "bbox_2d": [100,200,300,400]}}]', [SIZE])
    assert [(box.xyxy, box.label) for box in result.boxes] == [(ONE, label)]


def test_scores_and_zero_based_image_indices_are_read() -> None:
    text = '[{"bbox_2d": [100,200,300,400], "score": 0.9, "img_idx": 1}]'
    (box,) = parse(text, [(10, 10), SIZE]).boxes
    assert (box.xyxy, box.score, box.image_index) == (ONE, 0.9, 1)


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("Image 1: [[1,2,3,4]]. Image 2: [[1,2,3,4]].", [0, 1]),
        ("[[1,2,3,4]] (image 2), [[1,2,3,4]] (image 1)", [1, 0]),
        ("In picture 2 it is at [[1,2,3,4]] and [[5,6,7,8]]", [1, 1]),
        ("图2：[[1,2,3,4]]", [1]),
        ("It is at [[1,2,3,4]]", [0]),
    ],
)
def test_boxes_land_on_the_image_the_text_names(text: str, indices: list[int]) -> None:
    result = parse(text, [SIZE, (500, 500)])
    assert [box.image_index for box in result.boxes] == indices


def test_an_image_that_does_not_exist_drops_the_box_with_a_note() -> None:
    result = parse("Image 3: [[1,2,3,4]]", [SIZE, SIZE])
    assert result.boxes == []
    assert "image 3 does not exist" in result.notes[0]


def test_with_one_image_a_numbered_name_is_part_of_the_picture() -> None:
    assert parse("Image 2 is at [[1,2,3,4]]", [SIZE]).boxes[0].image_index == 0


@pytest.mark.parametrize(
    ("content", "xyxy", "note"),
    [
        ("[[300,400,100,200]]", ONE, "swapped"),
        ("[[-20,200,300,400]]", (0, 200, 600, 400), "clamped"),
        ("[[100,200,1040,400]]", (200, 200, 2000, 400), "clamped"),
    ],
)
def test_a_small_fault_is_repaired_with_a_note(
    content: str, xyxy: tuple[float, ...], note: str
) -> None:
    result = parse(f"{A}{content}{Z}", [SIZE])
    assert [box.xyxy for box in result.boxes] == [xyxy]
    assert any(note in text for text in result.notes)


def test_corners_clamped_to_a_size_in_integers_are_floats() -> None:
    (box,) = parse("[[-20,0,1050,1040]]", [(640, 480)]).boxes
    assert box.xyxy == (0, 0, 640, 480)
    assert all(isinstance(value, float) for value in box.xyxy)


@pytest.mark.parametrize(
    ("bad", "note"),
    [
        ("[100,200,1500,400]", "1500 is far outside"),
        ("[100,200,300]", "3 numbers"),
        ("[1,2,3,4,5]", "5 numbers"),
        ("[100,NaN,300,400]", "not all of it is numbers"),
        ("[NaN,200,300,400]", "not all of it is numbers"),
        ("[inf,200,300,400]", "not all of it is numbers"),
        ("[-Infinity,200,300,400]", "not all of it is numbers"),
        ("[100,null,300,400]", "not all of it is numbers"),
        ("[100,12%,300,400]", "not all of it is numbers"),
        (f"[100,200,300,{'9' * 5000}]", "not all of it is numbers"),
        ("[100,200,300,1e300]", "far outside"),
        ("[1020,200,1060,400]", "outside the image"),
    ],
)
def test_a_hopeless_box_is_dropped_with_a_note_and_its_neighbours_stay(bad: str, note: str) -> None:
    result = parse(f"{A}[{bad}, [500,600,700,800]]{Z}", [SIZE])
    assert [box.xyxy for box in result.boxes] == [TWO]
    assert any(note in text for text in result.notes)


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "inf", "-inf", "null"])
@pytest.mark.parametrize("frame", ["[[%s,2,3,4], [500,600,700,800]]", '{"bbox_2d": [%s,2,3,4]}'])
def test_a_list_that_begins_with_a_hopeless_value_is_noted(frame: str, bad: str) -> None:
    result = parse(frame % bad, [SIZE])
    assert [box.xyxy for box in result.boxes] == ([TWO] if "500" in frame else [])
    assert "not all of it is numbers" in result.notes[0]


def test_a_box_without_area_becomes_a_point() -> None:
    result = parse(f"{A}[[100,200,100,400]]{Z}", [SIZE])
    assert [point.xy for point in result.points] == [(200, 300)]
    assert "no area" in result.notes[0]


def test_fractions_under_a_thousandths_convention_are_noted() -> None:
    result = parse(f"{A}[[0.1,0.2,0.3,0.4]]{Z}", [SIZE])
    assert "is the convention norm1?" in result.notes[0]


def test_exact_repeats_collapse_into_one_with_a_note() -> None:
    result = parse(f"{A}[{','.join(['[100,200,300,400]'] * 500)}]{Z}", [SIZE])
    assert [box.xyxy for box in result.boxes] == [ONE]
    assert "499 exact repeats" in result.notes[0]


def test_numbers_written_as_strings_between_box_tokens_are_a_box() -> None:
    assert boxes(f"{A}[['100','200','300','400']]{Z}") == [ONE]
    assert boxes(f'{A}["100", "200", "300", "400"]{Z}') == [ONE]
    assert boxes('They said ["100", "200", "300", "400"].') == []


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>At [[1,2,3,4]]?</think>\nYes: [[100,200,300,400]]", "At [[1,2,3,4]]?",
         "Yes: [[100,200,300,400]]"),
        ("At [[1,2,3,4]]?</think>Yes: [[100,200,300,400]]", "At [[1,2,3,4]]?",
         "Yes: [[100,200,300,400]]"),
        ("<think></think>\n[[100,200,300,400]]", "", "[[100,200,300,400]]"),
        ("<|assistant|>\n<think>hm</think>[[100,200,300,400]]<|user|>", "hm",
         "[[100,200,300,400]]"),
        ("<think>a</think><answer>[[100,200,300,400]]</answer>", "a", "[[100,200,300,400]]"),
        ("<think>a<answer>[[100,200,300,400]]</answer><|user|>", "a", "[[100,200,300,400]]"),
        ("<think>In <answer>?<answer>[[100,200,300,400]]", "In <answer>?", "[[100,200,300,400]]"),
        ("[[100,200,300,400]]</answer>", "", "[[100,200,300,400]]"),
        ("[[100,200,300,400]] <think>or [[1,2,3,4]]", "or [[1,2,3,4]]", "[[100,200,300,400]]"),
    ],
)  # fmt: skip
def test_thoughts_are_split_off_and_never_drawn(text: str, thinking: str, answer: str) -> None:
    result = parse(text, [SIZE])
    assert (result.thinking, result.answer) == (thinking, answer)
    assert [box.xyxy for box in result.boxes] == [ONE]


@pytest.mark.parametrize(
    "thought",
    [
        f"It is at {A}[[1,2,3,4]]{Z}",
        "It is at `<answer>[[1,2,3,4]]`",
        "It is at <answer>[[1,2,3,4]]</answer>, or",
    ],
)
def test_a_thought_that_never_ends_has_no_answer(thought: str) -> None:
    result = parse(f"<think>{thought}", [SIZE])
    assert (result.answer, result.boxes) == ("", [])
    assert result.thinking.startswith("It is at")


def test_a_think_tag_in_inline_code_is_spoken_about() -> None:
    assert parse("Put it in `<think>` tags.", [SIZE]).answer == "Put it in `<think>` tags."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{A}[[100,200,300,400],[500,600,70", [ONE]),
        (f"{A}[[100,200,300,400],[500,600,700,800]", [ONE, TWO]),
        (f"{A}[[100,200,300,400", []),
        (f"{A}[[100,200,300,400]]", [ONE]),
        ('[{"bbox_2d":[100,200,300,400],"label":"a"},{"bbox_2d":[500,600,700,800],"lab', [ONE]),
        ('```json\n[{"bbox_2d":[100,200,300,400],"label":"a"},{"bbox_2d":[500,60', [ONE]),
        ('{"boxes": [{"bbox_2d":[100,200,300,400],"label":"a"},', [ONE]),
        ('{"size": [[100,200,300,400],[5', []),
    ],
)
def test_cut_text_keeps_what_is_finished(text: str, found: list[tuple[float, ...]]) -> None:
    assert boxes(text) == found


def test_a_cut_list_is_noted() -> None:
    assert "not finished" in parse(f"{A}[[100,200,300,400],[500,600,70", [SIZE]).notes[0]


def test_while_a_reply_grows_no_reported_box_vanishes_or_moves() -> None:
    text = (
        f'{A}[{{"bbox_2d": [100,200,300,400], "label": "a, \\"b\\""}}, '
        f'{{"label": "c", "bbox_2d": [1,2,30,40]}}]{Z} and more.'
    )
    seen: list[tuple[float, ...]] = []
    for length in range(len(text) + 1):
        now = boxes(text[:length])
        assert now[: len(seen)] == seen
        seen = now
    assert len(seen) == 2
