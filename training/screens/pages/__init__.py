"""Whole screens: what frames them, and what fills them."""
