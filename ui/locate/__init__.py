"""Grounding: a screenshot and what to look for in it."""
