"""Readers of the formats that models answer in, one family a file.

Each takes text (or what ``scanner`` found in it) and adds to a ``Findings``; none knows an image.
"""
