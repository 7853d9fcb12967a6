"""Answers and pictures as the page shows them."""
