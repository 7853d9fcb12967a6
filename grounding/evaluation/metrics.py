"""Right or wrong, and what follows from many of them: rates with intervals, by group; calibration.

A prediction is right if its point, or the middle of its box, lies inside the target (ScreenSpot),
or if its box overlaps the target with an IoU of at least 0.5 (RefCOCO). An answer without
coordinates is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from grounding.evaluation.datasets import Dataset, Item, Rule, Xyxy
from grounding.result import Result

MIN_IOU = 0.5
Z_95 = 1.959964  # of the normal distribution: 95 % lie within so many standard deviations


@dataclass(frozen=True, slots=True)
class Prediction:
    """Where an answer points, in pixels of the picture.

    Attributes:
        point: where a click would go; the middle of ``box`` if there is one.
        box: (x0, y0, x1, y1); None if the answer gave a point.
        score: how sure the model was, 0 to 1; None if not known.
    """

    point: tuple[float, float]
    box: Xyxy | None = None
    score: float | None = None


def read_prediction(result: Result) -> Prediction | None:
    """Return what an answer points at: its first box, else its first point, else its first click.

    None if it has no coordinates.
    """
    for box in result.boxes:
        return Prediction(box.center, box.xyxy, box.score)
    for point in result.points:
        return Prediction(point.xy, score=point.score)
    for action in result.actions:
        if action.target is not None:
            return Prediction(action.target)
    return None


def is_inside(point: tuple[float, float], box: Xyxy) -> bool:
    """Whether a point lies in a box, edges included (as in the benchmarks' own scripts)."""
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def iou(a: Xyxy, b: Xyxy) -> float:
    """Return the area that two boxes share over the area that they cover; 0 where there is none."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    covered = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / covered if covered > 0 else 0.0


def overlap(prediction: Prediction | None, target: Xyxy) -> float:
    """Return the IoU of a prediction's box with the target; 0 if it has no box."""
    return iou(prediction.box, target) if prediction is not None and prediction.box else 0.0


def is_right(prediction: Prediction | None, target: Xyxy, rule: Rule) -> bool:
    """Whether a prediction counts as right by the rule of its benchmark."""
    if prediction is None:
        return False
    if rule == "iou":
        return overlap(prediction, target) >= MIN_IOU
    return is_inside(prediction.point, target)


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate (Wilson 1927); (0, 1) if nothing was counted."""
    if count == 0:
        return (0.0, 1.0)
    rate, weight = right / count, Z_95**2 / count
    middle = (rate + weight / 2) / (1 + weight)
    half = math.sqrt(rate * (1 - rate) * weight + weight**2 / 4) / (1 + weight)
    return (max(0.0, middle - half), min(1.0, middle + half))


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Return how often a right answer has a higher score than a wrong one; a tie counts half.

    0.5 says that the scores tell nothing. None without right answers or without wrong ones.
    """
    positives = sum(labels)
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    ordered = sorted(zip(scores, labels, strict=True))
    rank_sum, start = 0.0, 0
    while start < len(ordered):
        end = start
        while end < len(ordered) and ordered[end][0] == ordered[start][0]:
            end += 1
        middle = (start + 1 + end) / 2  # the rank that equal scores share, counted from 1
        rank_sum += middle * sum(label for _, label in ordered[start:end])
        start = end
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


@dataclass(frozen=True, slots=True)
class Figures:
    """What came out for a set of answers; rates are of ``count``.

    Attributes:
        count: answered items.
        right: of them, by the benchmark's rule.
        interval: 95 % interval of ``accuracy``.
        click: rate of clicks inside the target.
        iou_50: rate of boxes with an IoU of at least 0.5.
        mean_iou: a missing box counts 0.
        wrong_format: rate of answers without coordinates.
    """

    count: int
    right: int
    accuracy: float
    interval: tuple[float, float]
    click: float
    iou_50: float
    mean_iou: float
    wrong_format: float

    @classmethod
    def of(cls, answers: Iterable[tuple[Item, Prediction | None]], rule: Rule) -> Figures:
        """Count a set of answers; all rates of an empty one are 0."""
        pairs = list(answers)
        overlaps = [overlap(prediction, item.target) for item, prediction in pairs]
        right = sum(is_right(prediction, item.target, rule) for item, prediction in pairs)
        clicks = sum(is_right(prediction, item.target, "click") for item, prediction in pairs)
        total = max(len(pairs), 1)
        return cls(
            count=len(pairs),
            right=right,
            accuracy=right / total,
            interval=wilson_interval(right, len(pairs)),
            click=clicks / total,
            iou_50=sum(value >= MIN_IOU for value in overlaps) / total,
            mean_iou=sum(overlaps) / total,
            wrong_format=sum(prediction is None for _, prediction in pairs) / total,
        )


def summarise(dataset: Dataset, predictions: Mapping[str, Prediction | None]) -> dict[str, Any]:
    """Return all figures of a run as plain values.

    Args:
        dataset: the items that were meant to be asked.
        predictions: by the items' keys; items without one are in no figure.

    Returns:
        {"all", "mean", "tables", "calibration"}: figures of all answers; the mean of the
        accuracies of the first table's rows, which is how ScreenSpot and RefCOCO are averaged;
        for each table its rows; and how well the scores tell right from wrong, None without scores.
    """
    answered = [(item, predictions[item.key]) for item in dataset.items if item.key in predictions]
    tables: list[dict[str, Any]] = []
    for names in dataset.tables:
        rows: dict[tuple[str, ...], list[tuple[Item, Prediction | None]]] = {}
        for item, prediction in answered:
            row = tuple(item.groups.get(name, "unknown") for name in names)
            rows.setdefault(row, []).append((item, prediction))
        figures = [(row, Figures.of(pairs, dataset.rule)) for row, pairs in sorted(rows.items())]
        tables.append(
            {
                "by": list(names),
                "rows": [{"of": list(row), **asdict(counted)} for row, counted in figures],
            }
        )
    accuracies = [row["accuracy"] for row in tables[0]["rows"]]
    return {
        "all": asdict(Figures.of(answered, dataset.rule)),
        "mean": sum(accuracies) / max(len(accuracies), 1),
        "tables": tables,
        "calibration": _calibration(answered, dataset.rule),
    }


def _calibration(
    answered: Iterable[tuple[Item, Prediction | None]], rule: Rule
) -> dict[str, Any] | None:
    scores: list[float] = []
    labels: list[bool] = []
    for item, prediction in answered:
        if prediction is not None and prediction.score is not None:
            scores.append(prediction.score)
            labels.append(is_right(prediction, item.target, rule))
    if not scores:
        return None
    return {"count": len(scores), "auroc": auroc(scores, labels)}
