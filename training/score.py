"""How often a model is right, as a table; with ten right and ten wrong answers as pictures.

    python -m training.score --model bundled "drawn screens=FOLDER" "web pages=FOLDER2"
        [--out FOLDER3] [--before FOLDER3/score.json] [--card assets/bundled/README.md]

Each folder is one that ``training.held_out`` or ``training.web`` has written, or any in
ScreenSpot's layout. A run that was stopped goes on when it is started again. With ``--before`` the
table shows the figures of an earlier model too; with ``--card`` table and pictures are put into a
model card.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from grounding.evaluation.datasets import DatasetError
from grounding.evaluation.options import BUNDLED, check_model
from grounding.evaluation.progress import Progress
from training.answering import Answers, ModelError, ask_all, read_askings, ready_model
from training.evaluation import Answered, Score, scores
from training.options import command_line
from training.pictures import Example, choose, draw_sheet

SCORE_NAME, ANSWERS_NAME = "score.json", "answers.jsonl"
EXAMPLES = 10  # right ones, and as many wrong ones
START, END = "<!-- measured by training.score -->", "<!-- end of what was measured -->"


@dataclass(frozen=True, slots=True)
class Figures(Score):
    """What came of the questions of one task about one set of screens.

    Attributes:
        screens: the set's name.
    """

    screens: str


def count(screens: str, answered: Sequence[Answered]) -> list[Figures]:
    """Count answers about a set of screens by task, those after a thought apart."""
    return [Figures(**asdict(score), screens=screens) for score in scores(answered)]


def to_table(figures: Sequence[Figures], before: Sequence[Figures] = ()) -> str:
    """Return the figures as a Markdown table: a row for each set and task.

    Args:
        before: figures of an earlier model; given, a cell reads "before -> now".
    """
    now = {(each.screens, each.task, each.thinking): each for each in figures}
    earlier = {(each.screens, each.task, each.thinking): each for each in before}
    lines = [
        "| screens | task | asked | right | IoU ≥ 0.5 | right, thinking first | IoU ≥ 0.5 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for screens, task in dict.fromkeys((each.screens, each.task) for each in figures):
        cells = [screens, task, str(now[screens, task, False].count)]
        for thinking in (False, True):
            key = (screens, task, thinking)
            pair = (earlier.get(key), now.get(key))
            cells += [_cell(pair, _right), _cell(pair, _overlapping)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(pair: tuple[Figures | None, Figures | None], write: Callable[[Figures], str]) -> str:
    before, now = (write(each) if each is not None else "" for each in pair)
    return f"{before} → {now}" if before and now else now


def _right(figures: Figures) -> str:
    return f"{figures.rate:.0%}"


def _overlapping(figures: Figures) -> str:
    return "" if figures.iou_50 is None else f"{figures.iou_50:.0%}"


def put_into_card(card: str, section: str) -> str:
    """Return a card with what was measured in the place of what was measured before.

    A card without such a place gets it at its end.
    """
    marked = f"{START}\n\n{section.strip()}\n\n{END}"
    pattern = re.compile(f"{re.escape(START)}.*?{re.escape(END)}", re.DOTALL)
    if pattern.search(card):
        return pattern.sub(lambda _: marked, card)
    return f"{card.rstrip()}\n\n{marked}\n"


def describe(
    table: str, figures: Sequence[Figures], sheets: Mapping[str, str], command: str
) -> str:
    """Return the section of a card: the table, what its numbers mean, and the pictures.

    Args:
        sheets: ``"right"`` and ``"wrong"``: addresses of the pictures.
        command: by which it was measured.
    """
    questions = sum(each.count for each in figures)
    widest = max((_half_width(each) for each in figures if each.count >= 100), default=None)
    within = f" Figures of 100 questions or more are good to ± {widest:.0%}." if widest else ""
    return f"""## Measured

{table}

{questions} answers, always taking the likeliest token. A place is right if the middle of the
answered box lies in the true one; something that is not there, if that is said and no box is given;
several things, if each has a box with an IoU of at least 0.5 and there is no other; a text, if it
is the same letter by letter.{within}

```
{command}
```

## Examples

Drawn by lot from these answers. Green is the true box, red the answered one.

![Ten right answers]({sheets["right"]})

![Ten wrong answers]({sheets["wrong"]})
"""


def _half_width(figures: Figures) -> float:
    low, high = figures.interval
    return (high - low) / 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask, print the table, and write the figures, the pictures and the card."""
    settings = _read_settings(arguments)
    checkpoint = Path(check_model(settings.model))
    before = _read_score(settings.before) if settings.before else []
    figures: list[Figures] = []
    examples: list[Example] = []
    try:
        sets = {
            name: read_askings(folder, limit=limit, thinking=not settings.without_thinking)
            for (name, folder), limit in zip(settings.sets, settings.limit, strict=True)
        }
        backend = ready_model(checkpoint, num_threads=settings.threads)
        with closing(Answers(settings.out / ANSWERS_NAME, checkpoint)) as answers:
            for name, askings in sets.items():
                progress = Progress(len(askings), sys.stderr)
                answered = ask_all(backend, askings, answers, tell=partial(progress.advance, name))
                progress.close()
                figures += count(name, answered)
                examples += [Example(name, each) for each in answered]
    except (DatasetError, ModelError) as error:
        sys.exit(str(error))
    table = to_table(figures, before)
    print(table)
    _write(settings, figures, examples, table)


def _write(
    settings: argparse.Namespace,
    figures: Sequence[Figures],
    examples: Sequence[Example],
    table: str,
) -> None:
    settings.out.mkdir(parents=True, exist_ok=True)
    plain = [asdict(each) for each in figures]
    text = json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
    (settings.out / SCORE_NAME).write_text(text, encoding="utf-8")
    sheets = {}
    for kind in ("right", "wrong"):
        chosen = choose(examples, right=kind == "right", count=EXAMPLES, seed=settings.seed)
        file = settings.pictures / f"{kind}.webp"
        file.parent.mkdir(parents=True, exist_ok=True)
        draw_sheet(chosen).save(file, quality=80, method=6)
        sheets[kind] = file
    if settings.card is not None:
        links = {
            kind: Path(os.path.relpath(file, settings.card.parent)).as_posix()
            for kind, file in sheets.items()
        }
        card = settings.card.read_text(encoding="utf-8")
        section = describe(table, figures, links, settings.command)
        settings.card.write_text(put_into_card(card, section), encoding="utf-8")


def _read_score(file: Path) -> list[Figures]:
    try:
        return [Figures(**entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        sys.exit(f"--before {file} is not a {SCORE_NAME} of this program: {error}")


def _read_settings(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.score",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("sets", nargs="+", metavar="NAME=FOLDER", type=_set, help="screens, and what to call them")
    add("--model", default=BUNDLED, help="bundled (the default) or a checkpoint's folder")
    add("--out", type=Path, default=Path("score"), metavar="FOLDER3", help="default: %(default)s")
    add(
        "--limit",
        type=int,
        nargs="+",
        metavar="N",
        help="at most N questions of each task; one number, or one for each set",
    )
    add("--without-thinking", action="store_true", help="ask nothing a second time with a thought")
    add("--before", type=Path, metavar="FILE", help="score.json of an earlier model")
    add("--card", type=Path, metavar="FILE", help="model card to put table and pictures into")
    add("--pictures", type=Path, metavar="FOLDER", help="where pictures go; default: --out")
    add("--seed", type=int, default=0, help="which examples are shown")
    add("--threads", type=int, help="CPU threads")
    settings = parser.parse_args(arguments)
    settings.command = command_line("training.score", arguments)
    settings.pictures = settings.pictures or settings.out
    limits = settings.limit or [None]
    settings.limit = limits * len(settings.sets) if len(limits) == 1 else limits
    if len(settings.limit) != len(settings.sets):
        parser.error(f"--limit takes one number, or {len(settings.sets)}, one for each set")
    if settings.card is not None and not settings.card.is_file():
        parser.error(f"--card {settings.card}: there is no such file")
    return settings


def _set(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not equals or not name or not folder:
        raise argparse.ArgumentTypeError(f"{text!r}; write NAME=FOLDER")
    return name, Path(folder)


if __name__ == "__main__":
    main()
