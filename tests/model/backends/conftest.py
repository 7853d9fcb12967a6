"""The bundled checkpoint, loaded once for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from opens_files import BUNDLED

from model.backends.local import LocalBackend


@pytest.fixture(scope="module")
def backend() -> Iterator[LocalBackend]:
    threads = torch.get_num_threads()
    # in float32, in which an answer is the same to the last digit in whatever company
    backend = LocalBackend(
        str(BUNDLED), name="Bundled", dtype="float32", max_conversations=2, num_threads=1
    )
    assert backend.wait_until_settled(60).state == "ready"
    yield backend
    torch.set_num_threads(threads)
