"""What stands on a page: phrases, names, figures and icons, drawn without repeating any."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from training.materials import IconFont, Materials
from training.screens.icons import glyphs_of

TONES = ("info", "success", "warning", "danger")
STYLES = (
    "primary",
    "primary",
    "secondary",
    "success",
    "danger",
    "warning",
    "outline",
    "quiet",
    "plain",
)
_MADE_UP_SHARE = 0.35  # of the phrases: of words from the list, so that no phrase need be known


@lru_cache(maxsize=1)
def _phrases() -> dict[str, list[str]]:
    text = Path(__file__).with_name("phrases.json").read_text(encoding="utf-8")
    phrases: dict[str, list[str]] = json.loads(text)
    return phrases


class Draw:
    """Draws the texts and icons of one page; the templates call its methods."""

    def __init__(
        self, rng: random.Random, materials: Materials, icon_font: IconFont, *, held_out: bool
    ) -> None:
        """
        Args:
            held_out: phrases are made of rare words, which no page for training shows (though drawn
                screens do), as far as they are made.
        """
        self._rng = rng
        self._words = materials.rare_words if held_out else materials.common_words
        self._glyphs = glyphs_of(icon_font)
        self._page_glyphs = {
            concept: rng.choice(shapes) for concept, shapes in self._glyphs.items()
        }
        self._used: set[str] = set()
        self._numbers: dict[str, str] = {}

    # choices

    def chance(self, probability: float) -> bool:
        """Return True with a probability."""
        return self._rng.random() < probability

    def between(self, low: int, high: int) -> int:
        """Return a whole number, both ends included."""
        return self._rng.randint(low, high)

    def one_of_many(self, count: int) -> list[bool]:
        """Return ``count`` values of which one is True."""
        chosen = self._rng.randrange(count)
        return [index == chosen for index in range(count)]

    def style(self) -> str:
        """Return the style of a button."""
        return self._rng.choice(STYLES)

    def styles(self, count: int) -> list[str]:
        """Return the styles of several buttons."""
        return [self.style() for _ in range(count)]

    def tone(self) -> str:
        """Return what an alert or a badge is about."""
        return self._rng.choice(TONES)

    def color(self) -> str:
        """Return a CSS colour for a picture or an avatar."""
        hue, light = self._rng.randrange(360), self._rng.randint(30, 65)
        return f"hsl({hue},{self._rng.randint(25, 75)}%,{light}%)"

    def angle(self) -> int:
        """Return degrees."""
        return self._rng.randrange(0, 360, 15)

    # texts

    def word(self, kind: str) -> str:
        """Return a phrase that may be on the page already."""
        return self._rng.choice(_phrases()[kind])

    def fresh(self, kind: str) -> str:
        """Return a phrase that is not on the page yet: of its list, or made of words."""
        if self.chance(_MADE_UP_SHARE):
            return self._unused(lambda: self._made_up(kind))
        return self._unused(lambda: self.word(kind))

    def several(self, kind: str, count: int) -> list[str]:
        """Return phrases that are not on the page yet."""
        return [self.fresh(kind) for _ in range(count)]

    def action(self) -> str:
        """Return what a button says."""
        if self.chance(0.5):
            return self._unused(lambda: f"{self.word('verbs')} {self.word('nouns')}")
        return self.fresh("actions")

    def field_label(self) -> str:
        """Return the label of a text field."""
        return self.fresh("field_labels")

    def filling(self, label: str) -> tuple[str, str]:
        """Return the value and the placeholder of a text field; often neither."""
        drawn = self._rng.random()
        if drawn < 0.35:
            return ("", "")
        if drawn < 0.65:
            return ("", self._rng.choice((f"Enter {label.lower()}", f"Your {label.lower()}")))
        if "assword" in label:
            return ("•" * self.between(6, 12), "")
        person = self.person().lower().replace(" ", ".")
        choices = (
            f"{person}@{self._rng.choice(self._words)}.com",
            self._unused(lambda: self._made_up("subjects")),
            str(self.between(100, 99999)),
            self.city(),
        )
        return (self._rng.choice(choices), "")

    def dropdown_label(self) -> str:
        """Return the label of a dropdown."""
        return self.fresh("dropdown_labels")

    def dropdown_value(self) -> str:
        """Return what is chosen in a dropdown."""
        return self._unused(lambda: self.word("dropdown_values"))

    def option(self) -> str:
        """Return the text of a checkbox or a switch."""
        return self.fresh("options")

    def choice(self) -> str:
        """Return the text of a radio button."""
        return self.fresh("choices")

    def setting(self) -> str:
        """Return the name of a setting."""
        return self.fresh("settings")

    def badge(self) -> str:
        """Return what a badge says."""
        return self._unused(lambda: self.word("badges"))

    def person(self) -> str:
        """Return a full name."""
        return self._unused(lambda: f"{self.word('first_names')} {self.word('last_names')}")

    def people(self, count: int) -> list[str]:
        """Return full names."""
        return [self.person() for _ in range(count)]

    def city(self) -> str:
        """Return a city."""
        return self._unused(lambda: self.word("cities"))

    def price(self) -> str:
        """Return an amount of money."""
        cents = self._rng.choice((0, 50, 90, 95, 99))
        return self._unused(lambda: f"${self.between(1, 400)}.{cents:02}")

    def figure(self) -> str:
        """Return a figure of a dashboard."""
        forms = (
            lambda: f"{self.between(100, 99999):,}",
            lambda: f"{self.between(1, 99)}.{self.between(0, 9)}%",
            lambda: f"${self.between(1, 900)}k",
            lambda: str(self.between(2, 999)),
        )
        return self._unused(self._rng.choice(forms))

    def change(self) -> str:
        """Return how much a figure rose or fell."""
        return self._unused(lambda: f"{self._rng.choice('+-')}{self.between(1, 60)}%")

    def date(self) -> str:
        """Return a day."""
        return self._unused(lambda: f"{self.word('months')} {self.between(1, 28)}")

    def month(self) -> str:
        """Return a month of a year."""
        return self._unused(lambda: f"{self.word('months')} {self.between(2019, 2031)}")

    def time(self) -> str:
        """Return a time of the day, or of a song."""
        return self._unused(lambda: f"{self.between(0, 12)}:{self.between(0, 59):02}")

    def cells(self, columns: int, rows: int) -> list[list[str]]:
        """Return the cells of a table, row by row."""
        forms = [
            self._rng.choice(
                (self.person, self.city, self.date, self.price, self.badge, self._item)
            )
            for _ in range(columns)
        ]
        return [[form() for form in forms] for _ in range(rows)]

    def number(self, name: str) -> str:
        """Return an id for an element, the same for the same name."""
        return self._numbers.setdefault(name, f"id{len(self._numbers)}")

    # icons

    def concept(self) -> str:
        """Return an icon that is not on the page yet."""
        return self.among(tuple(self._glyphs), 1)[0]

    def concepts(self, count: int) -> list[str]:
        """Return icons that are not on the page yet."""
        return self.among(tuple(self._glyphs), count)

    def among(self, concepts: Sequence[str], count: int) -> list[str]:
        """Return some of the concepts that the page's icon font has, those not used yet first."""
        known = [concept for concept in concepts if concept in self._glyphs]
        left = [concept for concept in known if f"icon {concept}" not in self._used]
        chosen = self._rng.sample(left or known, min(count, len(left or known)))
        self._used.update(f"icon {concept}" for concept in chosen)
        return chosen

    def maybe_icon(self, probability: float) -> str:
        """Return an icon for a button, or ``""``."""
        return self.concept() if self.chance(probability) else ""

    def glyph(self, concept: str) -> str:
        """Return the character that draws a concept, ``""`` if the font has none."""
        return self._page_glyphs.get(concept, "")

    def _item(self) -> str:
        return self.fresh("products")

    def _made_up(self, kind: str) -> str:
        like = self.word(kind)
        words = [self._rng.choice(self._words) for _ in like.split()[:4]]
        text = " ".join(words)
        text = text.title() if like.istitle() else text.capitalize()
        return text + (like[-1] if like[-1] in ".?!" else "")

    def _unused(self, make: Callable[[], str]) -> str:
        for _ in range(20):
            text = make()
            if text.casefold() not in self._used:
                break
        self._used.add(text.casefold())
        return text
