"""The engine's edges: readers that lag or leave, rounds, room, and what is freed when."""

from __future__ import annotations

import gc
import queue
import threading
import weakref
from typing import Any

import pytest
import torch
from prompts import Prompt
from stepping import PATIENCE_S, Stepped, alone, read, text

import model.engine
from model import native
from model.engine import Engine
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.prompt import Prompt as Prepared
from model.prompt import common_length
from model.request import MAX_BACKLOG, Token

Model = Glm4vMoeForConditionalGeneration


class Filling(queue.SimpleQueue):
    """A queue that the engine fills in the moment before an item is taken."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if self.qsize() < MAX_BACKLOG:
            self.put(Token(1, 0.0, 0.0))
        return super().get(block, timeout)


def test_a_reader_that_makes_room_says_so_though_there_was_room_a_moment_before(
    tiny_model: Model,
) -> None:
    request = Stepped(tiny_model).submit(text(5), max_new_tokens=MAX_BACKLOG * 2)
    woken = []
    request._wake = lambda: woken.append(request.is_backlogged)
    request._out = Filling()
    for _ in range(MAX_BACKLOG - 1):
        request._out.put(Token(1, 0.0, 0.0))
    request.next_token()
    assert woken == [False]


def test_a_cancelled_request_ends_for_whoever_still_reads(
    tiny_model: Model,
) -> None:
    engine = Stepped(tiny_model, max_running=1)
    running, waiting = (engine.submit(text(5), max_new_tokens=50) for _ in range(2))
    engine.turns(3)
    for request in (running, waiting):
        request.cancel()
    engine.finish()
    assert len(read(running)) == 3
    assert read(waiting) == []


def test_the_end_can_be_read_again(tiny_model: Model) -> None:
    engine = Stepped(tiny_model)
    request = engine.submit(text(5), max_new_tokens=2)
    engine.finish()
    assert len(read(request)) == 2
    assert request.next_token(0.0) is None


def test_memory_promised_to_a_request_counts_before_it_is_taken(
    tiny_model: Model,
) -> None:
    engine = Stepped(tiny_model)
    first = engine.submit(Prompt().text(3).image(4, 6).text(2).tensors(), max_new_tokens=5)
    engine._max_kv_bytes = first.expected_bytes(engine._model.config, torch.float32)
    engine.turns()
    assert engine.memory().running == 0  # its image is read
    late = engine.submit(text(5), max_new_tokens=5)
    engine.turns()
    assert late.place == 1


def test_inputs_that_the_engine_would_misread_are_refused(tiny_model: Model) -> None:
    inputs = Prompt().text(3).image(4, 6).text(2).tensors()
    two = {"input_ids": text(4)["input_ids"].expand(2, -1)}
    with pytest.raises(ValueError, match="one conversation"):
        Stepped(tiny_model).submit(two)
    del inputs["image_grid_thw"]
    with pytest.raises(ValueError, match="image_grid_thw"):
        Stepped(tiny_model).submit(inputs)


@pytest.mark.parametrize("how", ["end", "cancel", "error"])
def test_what_a_request_needed_is_freed_while_its_reader_still_holds_it(
    tiny_model: Model,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    monkeypatch.setattr(model.engine.logger, "disabled", True)  # records hold tracebacks
    gc.disable()
    try:
        inputs = Prompt().text(3).image(4, 6).text(2).tensors()
        pixels = weakref.ref(inputs["pixel_values"])
        engine = Stepped(tiny_model, max_prefix_bytes=0, max_vision_bytes=0)
        request = engine.submit(inputs, max_new_tokens=9)
        del inputs
        engine.turns(4)
        assert pixels() is None  # the tower has seen them
        cache = weakref.ref(request.cache)
        embeddings = weakref.ref(request.prompt.media[0].embeddings)
        if how == "cancel":
            request.cancel()
        if how == "error":

            def fail(**_: Any) -> None:
                raise ArithmeticError("cursed")

            monkeypatch.setattr(tiny_model.model.language_model, "forward", fail)
        engine.finish()
        assert cache() is None
        assert embeddings() is None
        assert request.prompt.length == 13
    finally:
        gc.enable()


def test_a_conversation_is_kept_without_the_room_that_its_answer_did_not_need(
    tiny_model: Model,
) -> None:
    engine = Stepped(tiny_model)
    request = engine.submit(text(300), max_new_tokens=1000, eos_token_id=list(range(160)))
    room = request.expected_bytes(engine._model.config, torch.float32)
    engine.finish()
    assert engine.memory().prefixes == room * 300 // 512  # the context


def test_nothing_asked_for_is_the_end_at_once(tiny_model: Model) -> None:
    engine = Stepped(tiny_model)
    request = engine.submit(text(5), max_new_tokens=0)
    assert request.wait(0.0)
    assert read(request) == []
    assert not engine.turns()


def test_an_answer_may_end_with_its_first_token(tiny_model: Model) -> None:
    inputs = text(5)
    (first,) = alone(tiny_model, inputs, max_new_tokens=1)
    engine = Stepped(tiny_model)
    request = engine.submit(inputs, max_new_tokens=9, eos_token_id=first)
    engine.finish()
    assert read(request) == [first]


def test_room_is_made_once_for_what_is_asked_and_no_more(tiny_model: Model) -> None:
    engine = Stepped(tiny_model)
    inputs = text(200)
    for _ in range(2):  # the second begins with a copy of the first
        request = engine.submit(inputs, max_new_tokens=200)
        engine.turns()
        room = request.expected_bytes(tiny_model.config, torch.float32)
        assert request.nbytes == room


def test_media_before_a_reused_beginning_are_not_held(tiny_model: Model) -> None:
    inputs = Prompt().text(3).image(6, 8).text(9).image(4, 4).text(3).tensors()
    engine = Stepped(tiny_model)
    engine.submit(inputs, max_new_tokens=2)
    engine.finish()
    again = engine.submit(inputs, max_new_tokens=2)
    engine.turns()
    assert again.read == again.prompt.length
    assert again.prompt.media == []


def test_everybody_is_told_when_the_engine_itself_fails(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = [ArithmeticError("cursed")]
    drop = Engine._drop_cancelled

    def fail(engine: Engine) -> None:
        if problems:
            raise problems.pop()
        drop(engine)

    monkeypatch.setattr(Engine, "_drop_cancelled", fail)
    engine = Engine(tiny_model)
    try:
        request = engine.submit(text(5), max_new_tokens=2)
        assert request.wait(PATIENCE_S)
        with pytest.raises(ArithmeticError, match="cursed"):
            read(request)
        assert len(read(engine.submit(text(5), max_new_tokens=2))) == 2
    finally:
        engine.close()


def test_an_engine_that_would_run_nobody_is_refused(tiny_model: Model) -> None:
    with pytest.raises(ValueError, match="max_running"):
        Engine(tiny_model, max_running=0)


def test_the_first_token_ends_the_wait(tiny_model: Model) -> None:
    engine = Stepped(tiny_model)
    request = engine.submit(text(5), max_new_tokens=9)
    assert not request.wait(0.0)
    engine.turns()
    assert request.wait(0.0)


def test_a_long_answer_gets_its_room_as_it_grows(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.request.EXPECTED_NEW_TOKENS", 20)
    inputs = text(150)
    expected = alone(tiny_model, inputs, max_new_tokens=40)
    engine = Stepped(tiny_model)
    request = engine.submit(inputs, max_new_tokens=40)
    engine.turns()
    assert request.cache is not None
    assert request.nbytes * 150 == request.cache.filled_nbytes * 170
    engine.finish()
    assert read(request) == expected


def test_the_same_pixels_in_another_shape_are_another_image(tiny_model: Model) -> None:
    inputs = Prompt().text(20).image(4, 6).text(3).tensors()
    turned = {**inputs, "image_grid_thw": torch.tensor([[1, 6, 4]])}
    keys = [Prepared(tiny_model.model, asked).keys for asked in (inputs, turned)]
    assert common_length(*keys) == 21


def test_places_count_those_who_still_wait(tiny_model: Model) -> None:
    engine = Stepped(tiny_model, max_running=1)
    requests = [engine.submit(text(5), max_new_tokens=9) for _ in range(4)]
    assert [request.place for request in requests] == [1, 2, 3, 4]
    engine.turns()
    requests[1].cancel()
    engine.turns()
    assert [request.place for request in (requests[0], *requests[2:])] == [0, 1, 2]


def test_threads_that_wait_let_their_helpers_go(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: queue.SimpleQueue[str] = queue.SimpleQueue()
    monkeypatch.setattr(
        native, "release_threads", lambda: released.put(threading.current_thread().name)
    )
    engine = Engine(tiny_model)
    assert released.get(timeout=PATIENCE_S) == "engine"
    request = engine.submit(text(5), max_new_tokens=2)
    assert released.get(timeout=PATIENCE_S) == threading.current_thread().name
    assert len(read(request)) == 2
    assert released.get(timeout=PATIENCE_S) == "engine"
    engine.close()
