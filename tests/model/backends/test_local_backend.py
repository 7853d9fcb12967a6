"""The bundled checkpoint behind the backend protocol: answers, refusals, stopping, company."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from media_files import make_clip, make_pdf
from opens_files import BUNDLED
from screen_questions import about, ask, question

import model.backends.local
from model.backends.base import (
    AnswerDelta,
    BackendError,
    Event,
    Reply,
    SamplingOptions,
    Sent,
    Waiting,
)
from model.backends.local import LocalBackend
from model.engine import Engine
from model.processing import Choice, Limits


def test_a_screen_is_answered_with_a_box_and_no_stop_token(backend: LocalBackend) -> None:
    reply = ask(backend, about("checkout.png", "Click on the Coupon field"))
    assert reply.thinking == ""
    assert reply.answer.startswith("<|begin_of_box|>[[")
    assert reply.answer.endswith("]]<|end_of_box|>")
    assert reply.finished is not None
    assert reply.finished.reason == "stop"
    assert 0 < reply.finished.first_token_s <= reply.finished.total_s


def test_a_thought_comes_apart_from_the_answer(backend: LocalBackend) -> None:
    reply = ask(backend, question("Click on the button"), thinking=True)
    assert reply.thinking
    assert "think>" not in reply.thinking + reply.answer


@pytest.mark.parametrize("thinking", [False, True])
def test_the_tokens_of_an_answer_end_with_it_and_have_probabilities(
    backend: LocalBackend, thinking: bool
) -> None:
    reply = ask(backend, about("checkout.png", "Click on the Coupon field"), thinking=thinking)
    assert reply.finished is not None
    tokens = reply.finished.tokens
    assert "".join(token.text for token in tokens).endswith(reply.answer)
    assert len(tokens) == reply.finished.new_tokens - 1  # the stop token has no text
    assert all(token.logprob <= 0 for token in tokens)
    assert 0.5 < math.exp(next(t.logprob for t in tokens if t.text == "<|begin_of_box|>")) <= 1


def test_an_answer_ends_at_the_length_asked_for(backend: LocalBackend) -> None:
    finished = ask(backend, question("Click on the button"), max_new_tokens=3).finished
    assert finished is not None
    assert (finished.reason, finished.new_tokens) == ("length", 3)


def test_the_number_of_threads_holds_in_every_thread(backend: LocalBackend) -> None:
    with ThreadPoolExecutor(1) as other:
        assert other.submit(torch.get_num_threads).result() == torch.get_num_threads() == 1


def test_earlier_turns_are_part_of_the_prompt(backend: LocalBackend) -> None:
    first = question("Click on the button")
    answer = {"role": "assistant", "content": [{"type": "text", "text": "[[1,2,3,4]]"}]}
    alone, followed = ask(backend, first), ask(backend, [*first, answer, *first])
    assert alone.finished is not None
    assert followed.finished is not None
    assert followed.finished.prompt_tokens > 2 * alone.finished.prompt_tokens - 10


def test_a_prompt_that_is_too_long_is_refused_before_anything_is_computed(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the engine was asked")

    monkeypatch.setattr(Engine, "submit", fail)
    with pytest.raises(BackendError, match=r"\d+ tokens.*8192"):
        ask(backend, question("word " * 9000))


def test_a_temperature_counts_though_the_checkpoint_is_greedy(backend: LocalBackend) -> None:
    def reply(**options: Any) -> str:
        return ask(backend, question("Click on the button"), max_new_tokens=20, **options).answer

    assert reply(temperature=100.0, seed=1) != reply(temperature=100.0, seed=2)
    assert reply(temperature=0.0) == reply()


def start_endless(backend: LocalBackend) -> Generator[Event, None, None]:
    """Return the stream of an answer that never ends by itself, at its first piece."""
    options = SamplingOptions(temperature=100.0, seed=1)
    stream = backend.stream(question("Talk"), enable_thinking=False, options=options)
    while not isinstance(next(stream), AnswerDelta):
        pass
    return stream


def test_closing_the_stream_frees_its_place(backend: LocalBackend) -> None:
    for _ in range(3):  # more often than there are places
        start_endless(backend).close()
    assert ask(backend, question("Click on the button")).answer


def test_a_stream_waiting_for_its_place_says_so_and_can_be_closed(backend: LocalBackend) -> None:
    places = [start_endless(backend), start_endless(backend)]
    waiting = [
        backend.stream(question("?"), enable_thinking=False, options=SamplingOptions())
        for _ in range(2)
    ]
    assert all(isinstance(next(stream), Sent) for stream in waiting)
    assert [next(stream) for stream in waiting] == [Waiting(1), Waiting(2)]
    waiting[0].close()
    while next(waiting[1]) == Waiting(2):
        pass
    assert next(waiting[1]) == Waiting(1)
    for stream in places:
        stream.close()
    reply = Reply()
    for event in waiting[1]:
        reply.add(event)
    assert reply.answer
    assert reply.waiting is None


def test_a_step_may_run_in_any_thread_and_leaves_no_mode_behind(backend: LocalBackend) -> None:
    stream = backend.stream(
        question("Click on the button"), enable_thinking=False, options=SamplingOptions()
    )
    with ThreadPoolExecutor(1) as other:
        events = [next(stream), other.submit(next, stream).result()]
        assert not torch.is_inference_mode_enabled()
        assert not other.submit(torch.is_inference_mode_enabled).result()
    assert all(isinstance(event, AnswerDelta | Sent | Waiting) for event in events)


def test_two_at_once_answer_as_each_alone(backend: LocalBackend) -> None:
    questions = [
        about("checkout.png", "Click on the Coupon field"),
        about("settings.png", "Where is the Battery saver row?"),
    ]
    alone = [ask(backend, q, thinking=True) for q in questions]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(lambda q: ask(backend, q, thinking=True), questions))
    assert [(r.thinking, r.answer) for r in together] == [(r.thinking, r.answer) for r in alone]
    assert alone[0].answer != alone[1].answer


def test_a_file_s_tokens_are_those_that_it_takes_in_the_prompt(
    backend: LocalBackend, tmp_path: Path
) -> None:
    opened = [
        backend.open_attachment(make_pdf(tmp_path / "a.pdf"), limits=Limits()),
        backend.open_attachment(
            make_clip(tmp_path / "a.mp4"), Choice(max_frames=4), limits=Limits()
        ),
    ]
    text = {"type": "text", "text": "Where?"}
    content = [part for attachment in opened for part in attachment.content()]
    sizes = []
    for parts in ([text], [*content, text]):
        finished = ask(backend, [{"role": "user", "content": parts}], max_new_tokens=1).finished
        assert finished is not None
        sizes.append(finished.prompt_tokens)
    assert sizes[1] - sizes[0] == pytest.approx(sum(a.tokens for a in opened), abs=8)


def test_a_document_is_made_to_fit_the_checkpoint_s_context(
    backend: LocalBackend, tmp_path: Path
) -> None:
    document = backend.open_attachment(make_pdf(tmp_path / "a.pdf", 20), limits=Limits())
    assert len(document.items) == 20
    assert backend.context_length == 8192
    assert document.tokens <= 0.75 * 8192


def test_a_page_is_drawn_once_for_all_turns(backend: LocalBackend, tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf")
    first, again = (
        backend.open_attachment(path, Choice(pages="2"), limits=Limits()).content()
        for _ in range(2)
    )
    assert first[-1]["image"] is again[-1]["image"]


def test_files_are_opened_before_the_weights_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ready = threading.Event()
    monkeypatch.setattr("model.backends.local.load_checkpoint", lambda *_, **__: ready.wait(30))
    backend = LocalBackend(str(BUNDLED), name="Slow")
    document = backend.open_attachment(make_pdf(tmp_path / "a.pdf"), limits=Limits())
    assert len(document.items) == 3
    assert backend.status().state == "loading"
    ready.set()


def test_how_far_loading_is_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    ended = threading.Event()

    def load(*_: Any, progress: Any, **__: Any) -> None:
        for stage, part in (("downloading", 0.374), ("loading", 1.0)):
            progress(stage, part)
            told.append(backend.status().detail)
        ended.wait(30)

    monkeypatch.setattr("model.backends.local.load_checkpoint", load)
    monkeypatch.setattr("model.backends.local.LOADING_PATIENCE_S", 5.0)
    is_prepared = threading.Event()
    prepare = model.backends.local.prepare
    monkeypatch.setattr(
        "model.backends.local.prepare", lambda path: is_prepared.wait(30) and prepare(path)
    )
    backend = LocalBackend(str(BUNDLED), name="Slow")
    assert backend.status().state == "loading"
    assert backend.defaults == SamplingOptions(max_new_tokens=8192)
    is_prepared.set()
    while len(told) < 2:
        time.sleep(0.01)
    assert told == ["Downloading, 37 %", "Loading the weights, 100 %"]
    assert backend.defaults.temperature == 0.0  # known before the weights are there
    ended.set()


def test_without_tags_for_thoughts_there_is_no_budget_for_them(backend: LocalBackend) -> None:
    prepared = backend._prepared
    assert prepared is not None
    try:
        backend._prepared = replace(prepared, thinking=None)
        assert not backend.abilities.thinking_budget
        assert ask(backend, question("Click on the button"), thinking=True, thinking_budget=1)
    finally:
        backend._prepared = prepared


def test_a_missing_folder_is_a_failed_status_and_a_refusal(tmp_path: Path) -> None:
    backend = LocalBackend(str(tmp_path / "nowhere"), name="Missing")
    status = backend.wait_until_settled(60)
    assert status.state == "failed"
    assert "nowhere" in status.detail
    with pytest.raises(BackendError, match="nowhere"):
        ask(backend, question("?"))


def test_a_question_during_loading_waits_and_is_then_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ready = threading.Event()
    monkeypatch.setattr("model.backends.local.load_checkpoint", lambda *_, **__: ready.wait(30))
    monkeypatch.setattr("model.backends.local.LOADING_PATIENCE_S", 0.2)
    backend = LocalBackend(str(BUNDLED), name="Slow")
    started = time.monotonic()
    assert backend.status().state == "loading"
    with pytest.raises(BackendError, match="Try again"):
        ask(backend, question("?"))
    assert time.monotonic() - started >= 0.2
    ready.set()


def test_what_is_kept_for_later_is_in_proportion_to_the_model(backend: LocalBackend) -> None:
    prepared, loaded = backend._prepared, backend._loaded
    assert prepared is not None and loaded is not None
    tensors = (*loaded.model.parameters(), *loaded.model.buffers())
    weights = sum(tensor.nbytes for tensor in tensors)
    engine = loaded.engine
    for cache in (prepared.cache, engine._prefixes, engine._vision):
        assert cache.max_bytes <= max(2 * weights, 64 * 1024**2)
