"""CSS kits: which classes make a widget of plain HTML look like theirs, and their style sheets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from training.materials import Materials, packages

# kit: (its npm package, the table of classes in kits.json)
_SOURCES: dict[str, tuple[str, str]] = {
    "bootstrap": ("bootstrap", "bootstrap"),
    "bootswatch": ("bootswatch", "bootstrap"),
    "bulma": ("bulma", "bulma"),
    "foundation": ("foundation-sites", "foundation"),
    "pico": ("@picocss/pico", "pico"),
    "tabler": ("@tabler/core", "tabler"),
    "98": ("98.css", "98"),
    "spectre": ("spectre.css", "spectre"),
    "uikit": ("uikit", "uikit"),
}


@dataclass(frozen=True, slots=True)
class Kit:
    """A CSS kit.

    Attributes:
        name: a key of ``kits.json``, or another look of one.
        classes: its classes and peculiarities, as the templates ask for them.
        style_sheets: files of which a page takes one.
    """

    name: str
    classes: dict[str, Any]
    style_sheets: tuple[Path, ...]

    @property
    def has_dark(self) -> bool:
        """Whether it can be asked for a dark page."""
        return "dark" in self.classes or "dark_body" in self.classes


def kit_names(*, held_out: bool) -> tuple[str, ...]:
    """Return the kits that training shows, or those that it never shows."""
    apart = {package.name for package in packages() if package.held_out}
    return tuple(kit for kit, (package, _) in _SOURCES.items() if (package in apart) == held_out)


def load_kit(name: str, materials: Materials) -> Kit:
    """Return a kit with its style sheets.

    Raises:
        ValueError: there is no such kit; the message lists those there are.
    """
    if name not in _SOURCES:
        raise ValueError(f"there is no kit {name!r}; there are {', '.join(_SOURCES)}")
    package, table = _SOURCES[name]
    locked = next(entry for entry in packages() if entry.name == package)
    sheets = [materials.path(package, file) for file in locked.files if file.endswith(".css")]
    return Kit(name, _tables()[table], tuple(sheets))


@lru_cache(maxsize=1)
def _tables() -> dict[str, dict[str, Any]]:
    text = Path(__file__).with_name("kits.json").read_text(encoding="utf-8")
    tables: dict[str, dict[str, Any]] = json.loads(text)
    for table in tables.values():
        for name in ("styles", "alerts", "badges"):
            table.setdefault(name, {})
        table["switch"] = table.get("switch", "")
    return tables
