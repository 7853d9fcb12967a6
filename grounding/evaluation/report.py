"""The figures of a run as text and JSON, and a page that shows every wrong answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from grounding.evaluation.asking import Record
from grounding.evaluation.datasets import Dataset, Item
from grounding.evaluation.metrics import Prediction, is_right, overlap, summarise

SUMMARY_NAME, PAGE_NAME, SCREENS_NAME = "summary.json", "failures.html", "screens"
MAX_SHOWN = 400  # wrong answers on the page
MAX_SCREEN_SIDE = 1600  # pixels of the pictures of the page
_RULES = {"click": "click inside the target", "iou": "IoU of at least 0.5"}

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
article { margin: 2.5rem 0; border-top: 1px solid #8886; }
.screen { position: relative; display: inline-block; max-width: 100%; line-height: 0; }
.screen img { max-width: 100%; max-height: 80vh; }
.screen svg { position: absolute; inset: 0; width: 100%; height: 100%; }
svg rect, svg circle { fill: none; stroke-width: 2.5px; vector-effect: non-scaling-stroke; }
.halo { stroke: #fff; stroke-width: 5px !important; }
.target { stroke: #19753c; }
.found { stroke: #d6203a; }
.first { stroke: #b34700; stroke-dasharray: 4 3; }
.crop { stroke: #0067c0; stroke-dasharray: 8 5; }
.key { font-weight: 600; padding-left: .6rem; border-left: .5rem solid; margin-right: 1rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
"""
_KEY = """<p><span class="key" style="border-color:#19753c">target</span>
<span class="key" style="border-color:#d6203a">answer</span>
<span class="key" style="border-color:#b34700">first look</span>
<span class="key" style="border-color:#0067c0">part looked at again</span></p>"""


def describe(
    dataset: Dataset, records: Mapping[str, Record], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the summary of a run as plain values: its settings, counts and figures.

    "first_look" has the figures of the first answers alone, if a part was looked at again.
    """
    asked = [records[item.key] for item in dataset.items if item.key in records]
    answered = [record for record in asked if record.error is None]
    figures = summarise(dataset, {record.key: record.prediction for record in answered})
    summary: dict[str, Any] = {
        "layout": dataset.layout,
        "rule": _RULES[dataset.rule],
        "settings": dict(settings),
        "items": len(dataset.items),
        "answered": len(answered),
        "failed": len(asked) - len(answered),
        "cut_off": sum(any(look.answer.is_cut for look in r.looks) for r in answered),
        **figures,
    }
    if any(len(record.looks) > 1 for record in answered):
        first = summarise(dataset, {record.key: record.first for record in answered})
        summary["looked_twice"] = sum(len(record.looks) > 1 for record in answered)
        summary["first_look"] = {"all": first["all"], "mean": first["mean"]}
    return summary


def to_text(summary: Mapping[str, Any]) -> str:
    """Return the figures of a summary as tables for a terminal."""
    lines = [
        f"{summary['layout']}, right is: {summary['rule']}",
        f"{summary['answered']} of {summary['items']} items answered, {summary['failed']} failed, "
        f"{summary['cut_off']} cut off",
        f"mean over {' x '.join(summary['tables'][0]['by'])}: {summary['mean']:.1%}",
    ]
    if "first_look" in summary:
        first = summary["first_look"]["all"]
        low, high = first["interval"]
        lines.append(
            f"first look alone: {first['accuracy']:.1%} ({low:.1%} to {high:.1%}); "
            f"{summary['looked_twice']} were looked at twice"
        )
    if summary["calibration"] is not None:
        area = summary["calibration"]["auroc"]
        lines.append(
            "scores tell right from wrong: AUROC " + ("-" if area is None else f"{area:.3f}")
        )
    rows: list[tuple[str, ...]] = [
        ("", "n", "accuracy", "95 %", "click", "IoU>=.5", "mean IoU", "no coordinates")
    ]
    rows.append(_row("all", summary["all"]))
    for table in summary["tables"]:
        rows += [_row(" ".join(row["of"]), row) for row in table["rows"]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for name, *cells in rows:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *padded]))
    return "\n".join(lines)


def _row(name: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = figures["interval"]
    return (
        name,
        str(figures["count"]),
        f"{figures['accuracy']:.1%}",
        f"{low:.1%} to {high:.1%}",
        f"{figures['click']:.1%}",
        f"{figures['iou_50']:.1%}",
        f"{figures['mean_iou']:.2f}",
        f"{figures['wrong_format']:.1%}",
    )


def write_summary(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Write the summary as JSON; return its file."""
    file = folder / SUMMARY_NAME
    file.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def write_failures(
    folder: Path,
    dataset: Dataset,
    records: Mapping[str, Record],
    *,
    open_image: Callable[[Path], Image.Image],
) -> Path:
    """Write the page of wrong answers, and the screens it shows beside it; return its file.

    All texts are escaped, nothing is loaded from elsewhere, and there is no script.
    """
    wrong = [
        (item, record)
        for item in dataset.items
        if (record := records.get(item.key)) is not None
        and record.error is None
        and not is_right(record.prediction, item.target, dataset.rule)
    ]
    failed = [
        (item, record.error)
        for item in dataset.items
        if (record := records.get(item.key)) is not None and record.error is not None
    ]
    screens = _Screens(folder / SCREENS_NAME, open_image)
    shown = [_article(item, record, screens) for item, record in wrong[:MAX_SHOWN]]
    more = f"<p>The first {MAX_SHOWN} are shown.</p>" if len(wrong) > MAX_SHOWN else ""
    errors = "".join(
        f"<li>{escape(item.name)}, {escape(item.instruction)}: {escape(str(error))}</li>"
        for item, error in failed
    )
    problems = f"<h2>{len(failed)} could not be asked</h2><ul>{errors}</ul>" if failed else ""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta http-equiv="Content-Security-Policy" content="script-src \'none\'">'
        f"<title>Wrong answers, {escape(dataset.layout)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{len(wrong)} wrong answers, {escape(dataset.layout)}</h1>{_KEY}{more}"
        f"{''.join(shown)}{problems}</body></html>\n"
    )
    file = folder / PAGE_NAME
    file.write_text(page, encoding="utf-8", errors="replace")
    return file


class _Screens:
    """Copies of screenshots for the page, each made once, small enough to load hundreds."""

    def __init__(self, folder: Path, open_image: Callable[[Path], Image.Image]) -> None:
        self._folder, self._open_image = folder, open_image
        self._made: dict[Path, str] = {}

    def link(self, file: Path) -> str:
        if file not in self._made:
            self._folder.mkdir(exist_ok=True)
            image = self._open_image(file).convert("RGB")
            image.thumbnail((MAX_SCREEN_SIDE, MAX_SCREEN_SIDE))
            name = f"{len(self._made):04}.jpg"
            image.save(self._folder / name, quality=88)
            self._made[file] = f"{SCREENS_NAME}/{name}"
        return self._made[file]


def _article(item: Item, record: Record, screens: _Screens) -> str:
    assert record.size is not None
    width, height = record.size
    marks = [_rect("target", item.target)]
    crop = record.looks[-1].crop
    if crop is not None:
        marks.append(_rect("crop", (crop.x0, crop.y0, crop.x0 + crop.width, crop.y0 + crop.height)))
        marks.append(_mark("first", record.first, record.size))
    marks.append(_mark("found", record.prediction, record.size))
    groups = ", ".join(item.groups.values())
    facts = f"{groups}; {item.name}; IoU {overlap(record.prediction, item.target):.2f}"
    if record.prediction is not None and record.prediction.score is not None:
        facts += f"; score {record.prediction.score:.2f}"
    texts = "\n\n".join(look.answer.text for look in record.looks)
    return (
        f"<article><h2>{escape(item.instruction)}</h2><p>{escape(facts)}</p>"
        f'<div class="screen"><img loading="lazy" alt="" width="{width}" height="{height}" '
        f'style="height:auto" src="{escape(screens.link(item.image))}">'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{"".join(marks)}</svg>'
        f"</div><pre>{escape(texts) or '(no answer)'}</pre></article>"
    )


def _mark(kind: str, prediction: Prediction | None, size: tuple[int, int]) -> str:
    if prediction is None:
        return ""
    if prediction.box is not None:
        return _rect(kind, prediction.box)
    x, y = prediction.point
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="{max(size) / 100:.1f}"'
    return f'<circle class="halo" {place}/><circle class="{kind}" {place}/>'


def _rect(kind: str, box: tuple[float, float, float, float]) -> str:
    x0, y0, x1, y1 = box
    place = f'x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}"'
    return f'<rect class="halo" {place}/><rect class="{kind}" {place}/>'
