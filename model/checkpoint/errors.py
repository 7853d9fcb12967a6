"""The one error that a caller of this package has to expect."""

from __future__ import annotations


class CheckpointError(ValueError):
    """A checkpoint can't be found, read, placed or written; the message says what to do."""
