"""What is written on a screen: stock phrases, words, names, prices, dates, addresses."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable
from functools import lru_cache

from training.materials import Materials
from training.screens import stock

# one word in twelve is kept for evaluation
_HELD_OUT_SHARE = 12
_ATTEMPTS = 12
_STOCK = (
    stock.ACTIONS,
    stock.PLACES,
    stock.SETTINGS,
    stock.FIELDS,
    stock.COLUMNS,
    stock.CELLS,
    stock.LINKS,
    stock.TITLES,
    stock.SENTENCES,
    stock.MONTHS,
    stock.WEEKDAYS,
    stock.UNITS,
    stock.DOMAINS,
    stock.ENDINGS,
    stock.MARKS,
    stock.FIRST_NAMES,
    stock.LAST_NAMES,
)


@lru_cache(maxsize=1)
def stock_words() -> frozenset[str]:
    """Return the words of stock phrases, lower case: they are never held out."""
    phrases = " ".join(phrase for group in _STOCK for phrase in group)
    return frozenset(re.findall(r"[a-z]+", phrases.lower()))


@lru_cache(maxsize=1)
def _held_out_names() -> frozenset[str]:
    names = stock.HELD_OUT_FIRST_NAMES + stock.HELD_OUT_LAST_NAMES
    return frozenset(name.lower() for name in names)


def is_held_out(word: str) -> bool:
    """Tell whether training never shows ``word``."""
    lower = word.lower()
    if lower in _held_out_names():
        return True
    return zlib.crc32(lower.encode()) % _HELD_OUT_SHARE == 0 and lower not in stock_words()


@lru_cache(maxsize=8)
def _words(materials: Materials, held_out: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the common and the rare words that a screen may show."""
    common, rare = (
        tuple(word for word in words if is_held_out(word) == held_out)
        for words in (materials.common_words, materials.rare_words)
    )
    return common, rare


class Phrases:
    """Draws texts for one screen; avoids repeating itself.

    Where ``held_out``, words and names are those that training never shows, and stock phrases are
    left out.
    """

    def __init__(self, rng: random.Random, materials: Materials, *, held_out: bool) -> None:
        self._rng = rng
        self._held_out = held_out
        self._common, self._rare = _words(materials, held_out)
        self._first = stock.HELD_OUT_FIRST_NAMES if held_out else stock.FIRST_NAMES
        self._last = stock.HELD_OUT_LAST_NAMES if held_out else stock.LAST_NAMES
        self._used: set[str] = set()

    def word(self) -> str:
        """Draw a lower-case word."""
        return self._rng.choice(self._common if self._rng.random() < 0.65 else self._rare)

    def words(self, low: int, high: int) -> str:
        """Draw ``low`` to ``high`` words in one of the usual capitalisations."""
        drawn = [self.word() for _ in range(self._rng.randint(low, high))]
        style = self._rng.random()
        if style < 0.62:
            return " ".join(drawn).capitalize()
        if style < 0.84:
            return " ".join(word.capitalize() for word in drawn)
        return " ".join(drawn) if style < 0.95 else " ".join(drawn).upper()

    def person(self) -> str:
        """Draw a first name, mostly with a last name."""
        first = self._rng.choice(self._first)
        return f"{first} {self._rng.choice(self._last)}" if self._rng.random() < 0.65 else first

    def figure(self) -> str:
        """Draw something with digits: a price, time, date, count, version, ..."""
        rng = self._rng
        money, times = (self.price, self.percent), (self.time, self.date)
        places = (self.address, self.email, self.phone)
        return rng.choice((*money, *times, *places, self.count, self.file_name))()

    def price(self) -> str:
        """Draw an amount of money."""
        whole, cents = self._rng.randint(0, 999), self._rng.randint(0, 99)
        sign = self._rng.choice("$$$€£")
        return f"{sign}{whole}.{cents:02d}" if self._rng.random() < 0.7 else f"{sign}{whole}"

    def time(self) -> str:
        """Draw a time of day or a duration."""
        hour, minute = self._rng.randint(0, 23), self._rng.randint(0, 59)
        if self._rng.random() < 0.3:
            return f"{hour % 12 or 12}:{minute:02d} {'AM' if hour < 12 else 'PM'}"
        return f"{hour}:{minute:02d}"

    def date(self) -> str:
        """Draw a date."""
        rng = self._rng
        month, day, year = rng.randint(1, 12), rng.randint(1, 28), rng.randint(1990, 2030)
        name = stock.MONTHS[month - 1]
        long, digits = f"{name} {day}, {year}", f"{year}-{month:02d}-{day:02d}"
        slashes = f"{month:02d}/{day:02d}/{year}"
        return rng.choice((f"{name} {day}", f"{day} {name}", slashes, digits, long))

    def percent(self) -> str:
        """Draw a percentage."""
        return f"{self._rng.randint(0, 100)}%"

    def count(self) -> str:
        """Draw a number, alone or with what it counts."""
        rng = self._rng
        alone, counted = (
            str(rng.randint(0, 9999)),
            f"{rng.randint(2, 99)} {rng.choice(stock.UNITS)}",
        )
        version = f"v{rng.randint(0, 9)}.{rng.randint(0, 20)}"
        return rng.choice((alone, counted, f"#{rng.randint(1, 9999)}", version))

    def phone(self) -> str:
        """Draw a telephone number."""
        rng = self._rng
        return f"+{rng.randint(1, 99)} {rng.randint(100, 999)} {rng.randint(1000, 9999)}"

    def email(self) -> str:
        """Draw an e-mail address."""
        return f"{self.word()}@{self.word()}{self._rng.choice(stock.DOMAINS)}"

    def address(self) -> str:
        """Draw an address on the web."""
        return f"{self.word()}{self._rng.choice(stock.DOMAINS)}"

    def file_name(self) -> str:
        """Draw the name of a file."""
        return f"{self.word()}{self._rng.choice(stock.ENDINGS)}"

    def sentence(self, length: int = 40) -> str:
        """Draw a sentence of at most ``length`` characters, unused so far if possible."""
        if not self._held_out and self._rng.random() < 0.3:
            return self._fresh(lambda: self._rng.choice(stock.SENTENCES), length)
        drawn: list[str] = []
        while len(" ".join(drawn)) < length - 6 and len(drawn) < 9:
            drawn.append(self.word())
        text = " ".join(drawn)
        while len(text) > length - 1 and " " in text:
            text = text.rpartition(" ")[0]
        return text[: length - 1].capitalize() + self._rng.choice(("", ".", "."))

    def label(self, length: int = 22) -> str:
        """Draw any label of at most ``length`` characters, unused so far if possible."""
        return self._fresh(self._any_label, length)

    def of(self, group: tuple[str, ...], length: int = 22, stock_share: float = 0.6) -> str:
        """Draw from a group of stock phrases, or other words in ``1 - stock_share`` of cases."""

        def draw() -> str:
            if not self._held_out and self._rng.random() < stock_share:
                return self._rng.choice(group)
            return self.words(1, 2)

        return self._fresh(draw, length)

    def placeholder(self, label: str, length: int) -> str:
        """Draw what an empty field labelled ``label`` shows."""
        rng = self._rng
        kind = rng.random()
        if label and kind < 0.35 and not self._held_out:
            text = f"Enter {label.lower()}"
        elif kind < 0.6:
            text = rng.choice((self.email, self.date, self.phone, self.price, self.person))()
        else:
            text = self.words(1, 3)
        return text if len(text) <= length else self.word()[:length]

    def _any_label(self) -> str:
        kind = self._rng.random()
        if kind < 0.3 and not self._held_out:
            return self._rng.choice(self._rng.choice(_STOCK[:9]))
        if kind < 0.4:
            return self.person()
        if kind < 0.52:
            return self.figure()
        return self.words(1, 3)

    def _fresh(self, draw: Callable[[], str], length: int) -> str:
        text = ""
        for _ in range(_ATTEMPTS):
            text = draw()
            if len(text) <= length and text.lower() not in self._used:
                break
        else:
            text = self.word().capitalize()[: max(2, length)]
        self._used.add(text.lower())
        return text
