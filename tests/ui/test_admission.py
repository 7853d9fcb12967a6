"""The line before the model: who is served next, who is refused, and that places come back."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.context import LocalContext
from scripted_backend import END, ScriptedBackend

from model.backends.base import (
    AnswerDelta,
    BackendError,
    Event,
    Finished,
    Message,
    SamplingOptions,
    Waiting,
)
from ui import build_ui
from ui.answering import Refused, answer
from ui.chat.dialogue import Dialogue
from ui.chat.handlers import Chat
from ui.conversation import Turn
from ui.settings import PageSettings
from ui.visitors.admission import FairBackend, admit, who_answers
from ui.visitors.visitor import asking_as, identify, who_asks
from ui.visitors.waiting_line import Question, WaitingLine


def line(places: int = 1, *, max_waiting: int = 99) -> WaitingLine:
    return WaitingLine(places, max_waiting=max_waiting)


def enter(line: WaitingLine, *names: str) -> list[Question]:
    return [line.enter(name) for name in names]


def served_in_order(line: WaitingLine, running: Question, waiting: list[Question]) -> list[str]:
    """End what runs, again and again; return whose turn it was each time."""
    names = []
    waiting = [*waiting]
    while waiting:
        line.leave(running)
        (running,) = [question for question in waiting if question.is_running]
        waiting.remove(running)
        names.append(running.visitor)
    line.leave(running)
    return names


def ask(backend: FairBackend) -> Generator[Event, None, None]:
    return backend.stream([], enable_thinking=False, options=SamplingOptions())


# the order


def test_whoever_has_no_place_comes_before_somebody_with_ten_tabs() -> None:
    places = line(2)
    enter(places, *["tabs"] * 10)
    (late,) = enter(places, "late")
    assert late.place == 1


def test_places_go_round_among_those_who_wait() -> None:
    places = line()
    running, *waiting = enter(places, "a", "a", "a", "b", "b", "c")
    assert served_in_order(places, running, waiting) == ["b", "c", "a", "b", "a"]


def test_among_equals_the_first_to_come_is_the_first_to_be_served() -> None:
    places = line()
    running, *waiting = enter(places, "x", "c", "a", "b")
    assert served_in_order(places, running, waiting) == ["c", "a", "b"]


def test_whoever_was_served_long_ago_comes_before_whoever_was_served_just_now() -> None:
    places = line()
    for name in ("early", "lately"):
        places.leave(places.enter(name))
    running, *waiting = enter(places, "x", "lately", "early")
    assert served_in_order(places, running, waiting) == ["early", "lately"]


def test_the_places_that_are_told_are_the_order_in_which_questions_are_served() -> None:
    places, chance = line(), random.Random(5)
    running, *waiting = enter(places, *(chance.choice("abcd") for _ in range(30)))
    told = sorted(waiting, key=lambda question: question.place)
    assert [question.place for question in told] == [*range(1, 30)]
    expected = [question.visitor for question in told]
    assert served_in_order(places, running, waiting) == expected


# who waits


def test_a_question_that_waits_says_its_place_and_takes_the_one_that_becomes_free() -> None:
    backend = FairBackend(ScriptedBackend([AnswerDelta("hello"), END]), line())
    first, second = ask(backend), ask(backend)
    next(first)
    assert next(second) == Waiting(1)
    first.close()
    assert [*second] == [AnswerDelta("hello"), END]


def test_a_question_that_is_stopped_while_it_waits_leaves_the_queue() -> None:
    model = ScriptedBackend([AnswerDelta("hello"), END])
    backend = FairBackend(model, line())
    running, stopped, behind = ask(backend), ask(backend), ask(backend)
    next(running)
    next(stopped)
    assert next(behind) == Waiting(2)
    stopped.close()
    assert next(behind) == Waiting(1)
    running.close()
    assert next(behind) == AnswerDelta("hello")
    assert len(model.questions) == 2


def test_a_question_called_while_it_is_being_stopped_gives_its_place_back() -> None:
    backend = FairBackend(ScriptedBackend([AnswerDelta("hello"), END]), line())
    running, stopped = ask(backend), ask(backend)
    next(running)
    next(stopped)
    running.close()  # the place is the other's now, which does not know yet
    stopped.close()
    assert next(ask(backend)) == AnswerDelta("hello")


def test_an_answer_that_is_stopped_ends_the_work_and_gives_its_place_back() -> None:
    model = ScriptedBackend([AnswerDelta("hello"), END])
    backend = FairBackend(model, line())
    stopped = ask(backend)
    next(stopped)
    stopped.close()
    assert model.closed == 1
    assert next(ask(backend)) == AnswerDelta("hello")


@pytest.mark.parametrize("error", [BackendError("no"), ValueError("broken")])
def test_an_answer_that_fails_gives_its_place_back(error: Exception) -> None:
    model = ScriptedBackend([AnswerDelta("hello"), error])
    backend = FairBackend(model, line())
    for _ in range(3):
        with pytest.raises(type(error)):
            [*ask(backend)]
    assert len(model.questions) == 3


# who is refused


def test_where_no_more_can_wait_a_question_is_refused_in_kind_words() -> None:
    backend = FairBackend(ScriptedBackend([AnswerDelta("hello"), END]), line(max_waiting=1))
    streams = [ask(backend), ask(backend)]
    for stream in streams:
        next(stream)
    with pytest.raises(Refused, match="There are 2 questions before yours. Please try again"):
        next(answer(backend, (Turn("?"),), thinking=False, options=SamplingOptions()))


def test_without_a_queue_a_question_is_answered_where_a_place_is_free_and_else_refused() -> None:
    places = line(max_waiting=0)
    (running,) = enter(places, "a")
    with pytest.raises(BackendError, match="There are 1"):
        places.enter("b")
    places.leave(running)
    assert places.enter("b").is_running


def test_one_visitor_cannot_fill_the_queue_against_others() -> None:
    places = line(max_waiting=4)
    _, *theirs = enter(places, *["tabs"] * 5)
    (other,) = enter(places, "other")
    assert other.place == 1
    with pytest.raises(BackendError, match="Others have come to ask"):
        theirs[-1].wait(0)
    assert not any(question.is_turned_away for question in theirs[:-1])
    places.leave(theirs[-1])
    assert places.waiting == 4


def test_nobody_is_turned_away_for_somebody_who_would_have_as_many() -> None:
    places = line(max_waiting=4)
    _, *theirs = enter(places, "x", "a", "a", "b", "b")
    with pytest.raises(BackendError, match="There are 5 questions"):
        places.enter("b")
    assert not any(question.is_turned_away for question in theirs)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_visitor_may_ask_so_often_within_a_minute_and_is_told_how_long_to_wait() -> None:
    clock = Clock()
    places = WaitingLine(9, max_waiting=9, max_per_minute=2, clock=clock)
    enter(places, "a")
    clock.now = 47.5
    enter(places, "a")
    with pytest.raises(BackendError, match=r"\(2\). Wait 13 s, then ask again"):
        places.enter("a")
    enter(places, "b")
    clock.now = 60.0
    enter(places, "a")  # the first is a minute ago
    with pytest.raises(BackendError, match="Wait 48 s"):
        places.enter("a")


def test_a_question_that_was_refused_does_not_count() -> None:
    clock = Clock()
    places = WaitingLine(1, max_waiting=0, max_per_minute=2, clock=clock)
    (running,) = enter(places, "a")
    for _ in range(3):
        with pytest.raises(BackendError, match="questions before yours"):
            places.enter("a")
    places.leave(running)
    assert places.enter("a").is_running


def test_nothing_is_kept_of_visitors_who_have_gone() -> None:
    clock = Clock()
    places = WaitingLine(2, max_waiting=9, max_per_minute=5, clock=clock)
    for number in range(100):
        clock.now += 1.0
        places.leave(places.enter(f"visitor {number}"))
    assert len(places._visitors) <= 60


# everybody at once


@dataclass
class Counting(ScriptedBackend):
    """Counts how many of its streams run at the same time."""

    most: int = 0
    running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            yield from super().stream(messages, enable_thinking=enable_thinking, options=options)
        finally:
            with self.lock:
                self.running -= 1


def test_two_hundred_visitors_at_once_never_exceed_the_places_and_all_are_served() -> None:
    model = Counting([AnswerDelta("a"), AnswerDelta("b"), END])
    places = line(3, max_waiting=200)
    backend = FairBackend(model, places)
    ends: Counter[str] = Counter()

    def visit(seed: int) -> None:
        chance = random.Random(seed)
        with asking_as(f"visitor {seed % 70}"), contextlib.closing(ask(backend)) as stream:
            leaves_after = chance.choice([1, 2, 99, 99])
            last: Event | None = None
            for number, event in enumerate(stream, 1):
                last = event
                if number == leaves_after and not isinstance(event, Finished):
                    ends["left"] += 1
                    return
            ends["served" if last == END else "cut short"] += 1

    threads = [threading.Thread(target=visit, args=(seed,)) for seed in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert ends.total() == 200
    assert not ends["cut short"]
    assert model.most <= 3
    assert (model.running, places.waiting) == (0, 0)
    assert all(question.is_running for question in enter(places, *"abc"))


# who a visitor is


def request(address: str | None, user: str | None = None) -> gr.Request:
    client = SimpleNamespace(host=address) if address else None
    return gr.Request(username=user, client=client)


@pytest.fixture
def clean_context() -> Iterator[None]:
    token = LocalContext.request.set(None)
    yield
    LocalContext.request.reset(token)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("192.0.2.1", None), ("192.0.2.1", None), True),
        (("192.0.2.1", None), ("192.0.2.2", None), False),
        (("192.0.2.1", "eve"), ("192.0.2.1", "bob"), False),
        (("192.0.2.1", "team"), ("192.0.2.2", "team"), False),
        (("2001:db8:0:7::1", None), ("2001:db8:0:7:ffff::9", None), True),
        (("2001:db8:0:7::1", None), ("2001:db8:0:8::1", None), False),
        (("::ffff:192.0.2.1", None), ("192.0.2.1", None), True),
        ((None, None), (None, None), True),
    ],
)
@pytest.mark.usefixtures("clean_context")
def test_a_visitor_is_known_by_login_and_address(
    one: tuple[str | None, str | None], other: tuple[str | None, str | None], same: bool
) -> None:
    visitors = []
    for address, user in (one, other):
        LocalContext.request.set(request(address, user))
        visitors.append(who_asks())
    assert (visitors[0] == visitors[1]) is same


@pytest.mark.usefixtures("clean_context")
def test_a_caller_that_is_told_comes_before_the_request_around_it() -> None:
    LocalContext.request.set(request("192.0.2.1"))
    with asking_as(identify(None, "192.0.2.9")):
        assert who_asks() == identify(None, "192.0.2.9")
    assert who_asks() == identify(None, "192.0.2.1")


# what the line stands before


def test_all_but_the_answers_is_the_backend_s_own() -> None:
    model = ScriptedBackend()
    backend = FairBackend(model, line())
    for name in ("name", "model_name", "abilities", "defaults", "context_length"):
        assert getattr(backend, name) == getattr(model, name)
    assert backend.status() == model.status()


def test_a_backend_gets_one_line_however_often_it_is_admitted() -> None:
    settings = PageSettings(max_conversations=1, max_waiting=0)
    backend = admit(ScriptedBackend([AnswerDelta("hello"), END]), settings)
    assert admit(backend, settings) is backend
    assert next(ask(backend)) == AnswerDelta("hello")


def test_a_visitor_s_own_backend_needs_no_place_and_counts_for_how_often_one_asks() -> None:
    script = [AnswerDelta("hello"), END]
    clock = Clock()
    places = WaitingLine(1, max_waiting=9, max_per_minute=2, clock=clock)
    page = FairBackend(ScriptedBackend(script), places)
    own = who_answers(page, ScriptedBackend(script))
    with asking_as("a"):
        first = ask(page)
        assert next(first) == AnswerDelta("hello")
        assert [*own.stream([], enable_thinking=False, options=SamplingOptions())] == script
        with pytest.raises(BackendError, match="as many questions as one person may"):
            next(ask(page))
    assert who_answers(page, None) is page


def test_the_page_s_handlers_ask_a_visitor_s_own_backend_through_the_line() -> None:
    script = [AnswerDelta("hello"), END]
    model, own = ScriptedBackend(script), ScriptedBackend(script)
    places = WaitingLine(1, max_waiting=9, max_per_minute=1)
    chat = Chat(FairBackend(model, places), PageSettings())
    question = {"text": "Where?", "files": []}
    *_, answered = chat.send(question, (), Dialogue(), own=own)
    *_, refused = chat.send(question, (), Dialogue(), own=own)
    assert (len(model.questions), len(own.questions)) == (0, 1)
    assert answered.notice == ""
    assert "as many questions as one person may" in refused.notice
    assert refused.prompt == question


def test_a_live_run_takes_none_of_the_page_s_questions_while_it_acts() -> None:
    settings = PageSettings(browser_origins=("http://127.0.0.1:1",))
    page = build_ui(ScriptedBackend(), settings)
    groups = {fn.name: fn.concurrency_id for fn in page.fns.values()}
    assert (groups["go_live"], groups["ask"]) == ("live", "model")
