"""App-like screens drawn with Pillow: deterministic, with the exact box of everything on them."""

from __future__ import annotations

from training.screens.screen import ROLES, SIZES, Character, Element, Screen

__all__ = ["ROLES", "SIZES", "Character", "Element", "Screen"]
