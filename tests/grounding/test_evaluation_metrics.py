"""What counts as right, and the figures that follow, against values worked out by hand."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from grounding import Action, Box, Point, Result
from grounding.evaluation.datasets import Dataset, Item
from grounding.evaluation.metrics import (
    Prediction,
    auroc,
    iou,
    is_right,
    read_prediction,
    summarise,
    wilson_interval,
)

TARGET = (20.0, 10.0, 60.0, 40.0)


def make_item(name: str, **groups: str) -> Item:
    return Item(name, Path("a.png"), "Save", TARGET, groups=groups)


def at(x: float, y: float, score: float | None = None) -> Prediction:
    return Prediction((x, y), score=score)


def test_an_answer_points_with_its_first_box() -> None:
    result = Result(boxes=[Box(10, 10, 30, 50, score=0.7), Box(0, 0, 1, 1)], points=[Point(5, 5)])
    assert read_prediction(result) == Prediction((20, 30), (10, 10, 30, 50), 0.7)


def test_an_answer_without_boxes_points_with_a_point_or_a_click() -> None:
    click = Action("left_click", {}, target=(7, 8))
    assert read_prediction(Result(points=[Point(5, 6)], actions=[click])) == at(5, 6)
    assert read_prediction(Result(actions=[Action("wait", {}), click])) == at(7, 8)
    assert read_prediction(Result(actions=[Action("wait", {})])) is None


@pytest.mark.parametrize(
    ("point", "right"),
    [((20, 10), True), ((60, 40), True), ((60.1, 40), False), ((40, 9.9), False)],
)
def test_a_click_is_right_inside_the_target_and_on_its_edges(
    point: tuple[float, float], right: bool
) -> None:
    assert is_right(Prediction(point), TARGET, "click") is right


def test_a_box_is_right_by_its_middle_or_by_its_overlap() -> None:
    whole_screen = Prediction((40, 25), (0, 0, 80, 50))  # its middle is right, it is far too large
    assert is_right(whole_screen, TARGET, "click")
    assert not is_right(whole_screen, TARGET, "iou")
    half = Prediction((40, 17.5), (20, 10, 60, 25))
    assert is_right(half, TARGET, "iou")  # an IoU of exactly 0.5
    assert not is_right(at(40, 25), TARGET, "iou")  # a point has no overlap


def test_no_coordinates_are_wrong() -> None:
    assert not is_right(None, TARGET, "click") and not is_right(None, TARGET, "iou")


def test_overlap_is_what_counting_pixels_gives() -> None:
    for a, b in [((0, 0, 4, 3), (2, 1, 7, 5)), ((0, 0, 2, 2), (2, 0, 4, 2)), (TARGET, TARGET)]:

        def pixels(box: tuple[float, ...]) -> set[tuple[int, int]]:
            return set(product(range(int(box[0]), int(box[2])), range(int(box[1]), int(box[3]))))

        shared, covered = pixels(a) & pixels(b), pixels(a) | pixels(b)
        assert iou(a, b) == pytest.approx(len(shared) / len(covered))


def test_boxes_without_area_do_not_divide_by_zero() -> None:
    assert iou((1, 1, 1, 1), (1, 1, 1, 1)) == 0


@pytest.mark.parametrize(
    ("right", "count", "interval"),
    [
        # Brown, Cai and DasGupta 2001, and R's prop.test(correct=FALSE)
        (81, 263, (0.2553, 0.3662)),
        (0, 10, (0.0, 0.2775)),
        (10, 10, (0.7225, 1.0)),
        (0, 0, (0.0, 1.0)),
    ],
)
def test_intervals_are_wilsons(right: int, count: int, interval: tuple[float, float]) -> None:
    assert wilson_interval(right, count) == pytest.approx(interval, abs=5e-5)


def test_auroc_is_the_share_of_pairs_in_order() -> None:
    scores = [0.9, 0.4, 0.4, 0.7, 0.1, 0.4]
    labels = [True, True, False, False, False, True]
    pairs = [
        (score > other) + (score == other) / 2
        for score, label in zip(scores, labels, strict=True)
        for other, wrong in zip(scores, labels, strict=True)
        if label and not wrong
    ]
    assert auroc(scores, labels) == pytest.approx(sum(pairs) / len(pairs))


def test_auroc_needs_right_and_wrong_answers() -> None:
    assert auroc([0.1, 0.2], [True, True]) is None
    assert auroc([], []) is None


def summary_of(predictions: dict[str, Prediction | None]) -> dict:
    items = tuple(
        make_item(name, platform=platform, kind=kind)
        for name, platform, kind in [
            ("one", "web", "text"),
            ("two", "web", "text"),
            ("three", "web", "text"),
            ("four", "mobile", "icon"),
            ("unasked", "mobile", "icon"),
        ]
    )
    dataset = Dataset("ScreenSpot", "click", (("platform", "kind"),), items)
    by_key = {item.key: predictions[item.name] for item in items if item.name in predictions}
    return summarise(dataset, by_key)


def test_the_mean_is_over_groups_and_the_rate_over_items() -> None:
    summary = summary_of({"one": at(30, 20), "two": at(0, 0), "three": None, "four": at(40, 40)})
    assert summary["all"]["accuracy"] == pytest.approx(2 / 4)
    assert summary["mean"] == pytest.approx((1 / 3 + 1) / 2)
    assert summary["all"]["wrong_format"] == pytest.approx(1 / 4)
    rows = {tuple(row["of"]): row for row in summary["tables"][0]["rows"]}
    assert rows["web", "text"]["count"] == 3
    assert rows["mobile", "icon"]["accuracy"] == 1


def test_items_that_were_not_asked_are_in_no_figure() -> None:
    assert summary_of({"one": at(30, 20)})["all"]["count"] == 1
    nothing = summary_of({})
    assert (nothing["all"]["count"], nothing["all"]["accuracy"], nothing["mean"]) == (0, 0, 0)


def test_scores_are_rated_where_there_are_some() -> None:
    without = summary_of({"one": at(30, 20), "two": at(0, 0)})
    assert without["calibration"] is None
    mixed = summary_of({"one": at(30, 20, 0.9), "two": at(0, 0, 0.2), "three": at(0, 0)})
    assert mixed["calibration"] == {"count": 2, "auroc": 1.0}
