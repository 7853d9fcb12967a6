"""Materials of the screens, downloaded once for all tests that draw."""

from __future__ import annotations

import pytest

from training.materials import Materials


@pytest.fixture(scope="session")
def materials() -> Materials:
    """Everything screens are drawn from; the first use downloads it into the user's cache."""
    return Materials.load()
