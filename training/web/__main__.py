"""Render web pages as a data set: pictures, what to find on them, and all that is known of them.

    python -m training.web --to FOLDER [--pages 60] [--kits bootstrap bulma ...] [--seed 0]

Needs the package playwright and Chromium. The folder is in ScreenSpot's layout.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.folders import Target, write_screens, write_targets
from training.materials import Materials, MaterialsError
from training.screens import SIZES, Screen
from training.web.browser import Browser, BrowserError, open_browser
from training.web.instructions import describe
from training.web.kits import kit_names, load_kit
from training.web.pages import write_page


def render_pages(
    browser: Browser,
    kits: Sequence[str],
    count: int,
    *,
    sizes: Sequence[tuple[int, int]],
    materials: Materials,
    seed: int = 0,
    held_out: bool = False,
) -> Iterator[tuple[str, Screen, str]]:
    """Yield pages of all kits and sizes in turn: a picture's name, the screen, its kit.

    Args:
        sizes: (width, height) of windows in pixels, multiples of 28.
        seed: page ``i`` depends on this and on ``i`` alone.
        held_out: as `write_page` takes it.
    """
    loaded = [load_kit(name, materials) for name in kits]
    for number in range(count):
        kit = loaded[number % len(loaded)]
        size = sizes[number // len(loaded) % len(sizes)]
        page_seed = seed * 1_000_003 + number
        page = write_page(page_seed, size, kit, materials=materials, held_out=held_out)
        picture = f"{kit.name}_{number:05}_{size[0]}x{size[1]}.png"
        yield picture, browser.show(page), kit.name


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folder, and say what is in it."""
    settings = _read_settings(arguments)
    sizes = [size for name in settings.sizes for size in SIZES[name]]
    targets: list[Target] = []

    def screens() -> Iterator[tuple[str, Screen]]:
        with open_browser() as browser:
            pages = render_pages(
                browser,
                settings.kits,
                settings.pages,
                sizes=sizes,
                materials=Materials.load(),
                seed=settings.seed,
                held_out=settings.held_out,
            )
            for number, (picture, screen, kit) in enumerate(pages):
                targets.extend(describe(screen, picture, kit, settings.seed + number))
                yield picture, screen

    try:
        write_screens(settings.to, screens())
    except (BrowserError, MaterialsError, ValueError) as error:
        sys.exit(str(error))
    write_targets(settings.to, "web", targets)
    icons = sum(target.kind == "icon" for target in targets)
    print(f"{settings.pages} pages, {len(targets)} targets, of them {icons} icons: {settings.to}")


def _read_settings(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.web",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    seen, unseen = kit_names(held_out=False), kit_names(held_out=True)
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument(
        "--kits",
        nargs="+",
        choices=[*seen, *unseen],
        metavar="KIT",
        help=f"of {', '.join(seen)} (the default is all of these), and {', '.join(unseen)}, "
        "which training never shows",
    )
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["middle", "large"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--held-out",
        action="store_true",
        help="fonts and icons that training never shows, made-up phrases of other words; "
        "without --kits, such kits too",
    )
    settings = parser.parse_args(arguments)
    settings.kits = settings.kits or kit_names(held_out=settings.held_out)
    return settings


if __name__ == "__main__":
    main()
