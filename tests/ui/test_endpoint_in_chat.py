"""A failing server as the page's handlers see it: refused before an answer, kept within one."""

from __future__ import annotations

import pytest
from endpoint_client import conversation
from scripted_endpoint import Exchange, Script, fail

from model.backends.base import SamplingOptions
from ui.answering import Refused, answer
from ui.conversation import Turn


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.backends.endpoint.backend.HEARTBEAT_S", 0.02)


def grow(script: Script) -> list[Turn]:
    """Return the turn at each step of being answered."""
    with conversation(script, max_retries=1, retry_delay_s=0.3) as (_, backend):
        steps = answer(backend, (Turn("Hi"),), thinking=False, options=SamplingOptions())
        return [turn for turn, _ in steps]


def test_a_server_that_fails_after_a_wait_has_refused_the_question() -> None:
    with pytest.raises(Refused, match="failed .503 Service Unavailable.; try again"):
        grow(fail(503))


def test_an_answer_that_breaks_off_stays_and_says_so() -> None:
    def breaks_off(exchange: Exchange) -> None:
        exchange.start()
        exchange.delta("Half an answer")
        exchange.drop()

    last = grow(breaks_off)[-1]
    assert (last.state, last.answer) == ("failed", "Half an answer")
    assert "The answer is cut off" in last.notes[0]
