"""Where an agent's step points, from its arguments, whichever dialect they are in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grounding.formats.keys import BOX_KEYS, fold
from grounding.formats.numbers import NumberList, number_lists, pair_corners
from grounding.formats.verbs import END_ARGS, TARGET_ARGS
from grounding.readings import Reading
from grounding.values import is_number, to_ascii, to_number

_BOX_ARGS = frozenset((*BOX_KEYS, "startbox", "endbox"))
Span = tuple[int, int]


def find_targets(
    args: Mapping[str, Any],
    span: Span,
    spans: Mapping[str, Span],
    *,
    label: str | None = None,
    auto: str | None = None,
) -> tuple[Reading | None, Reading | None]:
    """Return where a step begins and where it ends (a drag), ``None`` if the text gives none.

    Args:
        args: the step's arguments, plain values.
        span: of the whole step in the text.
        spans: of the values of some arguments.
        label: of a box among them.
        auto: the convention that the dialect suggests.
    """
    folded = {fold(name): (value, spans.get(name, span)) for name, value in args.items()}
    targets: tuple[str, ...] = TARGET_ARGS
    ends: tuple[str, ...] = END_ARGS
    if "startcoordinate" in folded:  # Claude drags from start_coordinate to coordinate
        targets, ends = ("startcoordinate",), ("coordinate",)

    def reading(values: list[Any], where: Span, *, is_named: bool = False) -> Reading:
        return Reading(
            values,
            where,
            span[1],
            is_point=len(values) == 2,
            label=label if len(values) == 4 else None,
            auto=auto,
            is_named=is_named,
        )

    def first(names: tuple[str, ...]) -> Reading | None:
        for name in names:
            if name in folded:
                value, where = folded[name]
                if isinstance(value, dict) and {"x", "y"} <= value.keys():
                    return reading([_number(value[axis]) for axis in "xy"], where, is_named=True)
                values = _first_numbers(value, is_box=name in _BOX_ARGS)
                if values:
                    return reading(values, where)
        return None

    def named(*names: str) -> Reading | None:
        if not all(name in folded and folded[name][0] is not None for name in names):
            return None
        return reading([_number(folded[name][0]) for name in names], span, is_named=True)

    path = folded.get("path", (None, span))[0]
    if isinstance(path, list) and path:  # OpenAI's drag
        start, end = (_path_point(point) for point in (path[0], path[-1]))
        return (reading(start, span, is_named=True) if start else None,
                reading(end, span, is_named=True) if end else None)  # fmt: skip
    target = first(targets) or named("x", "y") or named("x1", "y1")
    return target, first(ends) or named("x2", "y2")


def _path_point(point: Any) -> list[Any]:
    if isinstance(point, dict):
        return [_number(point.get(axis)) for axis in "xy"]
    return list(point) if isinstance(point, list) else []


def _number(value: Any) -> Any:
    return to_number(to_ascii(value).strip()) if isinstance(value, str) else value


def _first_numbers(value: Any, *, is_box: bool) -> list[Any]:
    """Numbers of the first list in an argument, ``'[[12, 34]]'``; none for other text."""
    if isinstance(value, str):
        text = to_ascii(value).strip()
        if text[:1] not in "[({<-0123456789":
            return []
        lists = number_lists(value)
    elif isinstance(value, list):
        lists = [NumberList(leaf, 0, 0) for leaf in _leaves(value)]
    else:
        return []
    if is_box:
        lists = pair_corners(lists)
    values = [_number(item) for item in lists[0].values] if lists else []
    return values if any(is_number(item) for item in values) else []


def _leaves(value: list[Any]) -> list[list[Any]]:
    inner = [item for item in value if isinstance(item, list)]
    return [leaf for item in inner for leaf in _leaves(item)] if inner else [value]
