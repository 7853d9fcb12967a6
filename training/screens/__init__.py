"""App-like screens drawn with Pillow: deterministic, with the exact box of everything on them."""

from __future__ import annotations

from training.screens.icons import CONCEPTS
from training.screens.rendering import render
from training.screens.screen import ROLES, SIZES, Character, Element, Screen
from training.screens.text_page import render_page_of_text

__all__ = [
    "CONCEPTS",
    "ROLES",
    "SIZES",
    "Character",
    "Element",
    "Screen",
    "render",
    "render_page_of_text",
]
