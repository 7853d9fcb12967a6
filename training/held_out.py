"""Screens that training never shows, with questions of every task: what a model is measured on.

    python -m training.held_out --to FOLDER [--screens 60] [--sizes small middle] [--seed 0]
    python -m training.held_out --to FOLDER --about FOLDER2

Draws screens of other words and fonts than those of training, and writes them in ScreenSpot's
layout with ``questions.json`` beside it, which ``training.score`` asks. With ``--about`` the
questions are about the screens that ``training.web`` has written to a folder.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.folders import (
    SCREENS_NAME,
    Target,
    read_screens,
    write_questions,
    write_screens,
    write_targets,
)
from training.materials import Materials, MaterialsError
from training.screens import SIZES, Screen, render
from training.tasks import Turn, held_out_turns
from training.tasks.turn import BOX_OPEN

BOXES = ("text", "icon", "reference", "field")  # tasks whose answer is the box of one element
SEED = "held-out screens"


def draw_screens(
    count: int, sizes: Sequence[tuple[int, int]], *, materials: Materials, seed: int = 0
) -> Iterator[tuple[str, Screen]]:
    """Yield screens of held-out words and fonts, the sizes in turn, with pictures' names.

    Args:
        sizes: (width, height), pixels.
        seed: screen ``i`` depends on this and on ``i`` alone.
    """
    for number in range(count):
        size = sizes[number % len(sizes)]
        screen_seed = random.Random(f"{SEED} {seed} {number}").getrandbits(48)
        screen = render(screen_seed, size, materials=materials, held_out=True)
        yield f"drawn_{number:05}_{size[0]}x{size[1]}.png", screen


def ask_about(screens: Sequence[tuple[str, Screen]], *, seed: int = 0) -> list[tuple[str, Turn]]:
    """Return questions of every task about each screen, with its picture's name."""
    others = [screen for _, screen in screens]
    return [
        (picture, turn)
        for picture, screen in screens
        for turn in held_out_turns(screen, random.Random(f"{SEED} {seed} {picture}"), others=others)
    ]


def write_folder(
    folder: Path, screens: Sequence[tuple[str, Screen]], questions: Sequence[tuple[str, Turn]]
) -> None:
    """Write pictures, questions and what to find in ScreenSpot's layout."""
    write_screens(folder, screens)
    write_questions(folder, questions)
    targets = [
        Target(picture, turn.question, turn.element.box, turn.task, "drawn", turn.element.role)
        for picture, turn in questions
        if turn.task in BOXES and turn.element is not None and BOX_OPEN in turn.answer
    ]
    write_targets(folder, "drawn", targets)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folder, and say what is in it."""
    parser = argparse.ArgumentParser(
        prog="python -m training.held_out",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--about", type=Path, metavar="FOLDER2")
    parser.add_argument("--screens", type=int, default=60)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["small", "middle"])
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args(arguments)
    if settings.about is not None and not (settings.about / SCREENS_NAME).is_file():
        sys.exit(
            f"{settings.about} has no {SCREENS_NAME}, so what is on its screens is not known; give "
            "a folder that 'python -m training.web' has written"
        )
    if settings.about is not None:
        screens = list(read_screens(settings.about))
    else:
        sizes = [size for name in settings.sizes for size in SIZES[name]]
        try:
            materials = Materials.load()
        except MaterialsError as error:
            sys.exit(str(error))
        screens = list(
            draw_screens(settings.screens, sizes, materials=materials, seed=settings.seed)
        )
    questions = ask_about(screens, seed=settings.seed)
    write_folder(settings.to, screens, questions)
    print(f"{len(screens)} screens, {len(questions)} questions: {settings.to}")


if __name__ == "__main__":
    main()
