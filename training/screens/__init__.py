"""App-like screens drawn with Pillow: deterministic, with the exact box of everything on them."""

from __future__ import annotations

from training.screens.icons import CONCEPTS
from training.screens.render import render
from training.screens.screen import ROLES, SIZES, Character, Element, Screen

__all__ = ["CONCEPTS", "ROLES", "SIZES", "Character", "Element", "Screen", "render"]
