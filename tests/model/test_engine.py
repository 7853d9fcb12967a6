"""The engine: together as alone, in pieces as whole, reused as fresh; and who ends when."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
import torch
from prompts import Prompt
from stepping import PATIENCE_S, Stepped, alone
from torch import Tensor

import model.pacing
from model.cache import KVCache
from model.engine import Engine
from model.generate import stream_tokens
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.out_of_memory import OutOfMemory
from model.request import CLOSE, MAX_BACKLOG, Request

Model = Glm4vMoeForConditionalGeneration
Inputs = dict[str, Tensor]
MakeEngine = Callable[..., Engine]


@pytest.fixture
def start(tiny_model: Model) -> Iterator[MakeEngine]:
    """Return a function that starts an engine, closed when the test ends."""
    engines: list[Engine] = []

    def make(**options: Any) -> Engine:
        engines.append(Engine(tiny_model, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def read(request: Request) -> list[int]:
    """Return all tokens of an answer."""
    tokens = []
    with request:
        while (token := request.next_token(PATIENCE_S)) is not None:
            tokens.append(token.id)
    return tokens


def prompts(count: int) -> list[Inputs]:
    """Return prompts of many lengths, some with images or a video."""
    kinds = [
        lambda n: Prompt().text(5 + 9 * n),
        lambda n: Prompt().text(3).image(4, 6 + 2 * n).text(4),
        lambda n: Prompt().text(2).video(3, 4, 4).text(3).image(4, 4).text(n),
    ]
    return [kinds[n % 3](n).tensors() for n in range(count)]


class Watch:
    """Counts the tokens and media that pass through the network."""

    def __init__(self, tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passes: list[tuple[int, int]] = []  # rows, tokens of each
        self.media = 0
        decoder, visual = tiny_model.model.language_model, tiny_model.model.visual
        run, see = decoder.forward, visual.forward

        def count(*args: Any, **inputs: Any) -> Any:
            x = inputs["input_ids"] if "input_ids" in inputs else inputs["inputs_embeds"]
            self.passes.append((x.shape[0], x.shape[1]))
            return run(*args, **inputs)

        def count_media(*args: Any, **inputs: Any) -> Any:
            self.media += 1
            return see(*args, **inputs)

        monkeypatch.setattr(decoder, "forward", count)
        monkeypatch.setattr(visual, "forward", count_media)

    @property
    def tokens(self) -> int:
        return sum(rows * tokens for rows, tokens in self.passes)


@pytest.fixture
def watch(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Watch what is computed from now on."""
    return Watch(tiny_model, monkeypatch)


def small_pieces(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    """Let every piece of a prompt have ``tokens`` tokens."""
    for name in ("FIRST_PIECE_TOKENS", "MAX_PIECE_TOKENS", "MIN_PIECE_TOKENS"):
        monkeypatch.setattr(model.pacing, name, tokens)


def test_eight_at_once_answer_as_each_alone(
    tiny_model: Model, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.pacing, "READING_SHARE", 1.0)  # nobody ends before all are read
    asked = prompts(8)
    expected = [alone(tiny_model, inputs, max_new_tokens=24) for inputs in asked]
    assert len({tuple(answer) for answer in expected}) == 8
    watch.passes.clear()
    engine = Stepped(tiny_model)
    requests = [engine.submit(inputs, max_new_tokens=24) for inputs in asked]
    engine.finish()
    assert [read(request) for request in requests] == expected
    assert (8, 1) in watch.passes


def test_sampling_draws_the_same_in_company(tiny_model: Model, start: MakeEngine) -> None:
    asked = prompts(4)
    options: dict[str, Any] = {
        "max_new_tokens": 16,
        "do_sample": True,
        "temperature": 1.5,
        "top_k": 50,
        "repetition_penalty": 1.2,
    }
    expected = [alone(tiny_model, inputs, seed=n, **options) for n, inputs in enumerate(asked)]
    engine = start()
    requests = [engine.submit(inputs, seed=n, **options) for n, inputs in enumerate(asked)]
    assert [read(request) for request in requests] == expected


@pytest.mark.parametrize("size", [1, 7, 16, 21])
def test_a_prompt_read_in_pieces_is_answered_as_read_at_once(
    tiny_model: Model,
    start: MakeEngine,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
) -> None:
    inputs = Prompt().text(9).video(3, 4, 6).text(5).image(6, 8).text(30).tensors()
    expected = alone(tiny_model, inputs, max_new_tokens=20)
    small_pieces(monkeypatch, size)
    watch.passes.clear()
    assert read(start().submit(inputs, max_new_tokens=20)) == expected
    assert max(tokens for _, tokens in watch.passes) == size


def test_a_video_through_the_tower_in_parts_is_the_same(
    tiny_model: Model, start: MakeEngine, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Prompt().text(2).video(5, 4, 6).text(3).tensors()
    expected = alone(tiny_model, inputs, max_new_tokens=12)
    monkeypatch.setattr("model.prompt.MAX_GROUP_PATCHES", 50)  # two temporal patches of 24
    watch.media = 0
    assert read(start().submit(inputs, max_new_tokens=12)) == expected
    assert watch.media == 3


def test_the_probabilities_are_those_of_the_twin(tiny_model: Model, start: MakeEngine) -> None:
    inputs = prompts(2)[1]
    steps = stream_tokens(tiny_model, **inputs, max_new_tokens=8)
    expected = [float(step.logprobs()) for step in steps]
    with start().submit(inputs, max_new_tokens=8) as request:
        assert [token.logprob for token in request] == pytest.approx(expected, abs=1e-4)


def test_a_number_is_as_probable_as_all_that_are_close(
    tiny_model: Model, start: MakeEngine
) -> None:
    inputs = prompts(1)[0]
    (step,) = stream_tokens(tiny_model, **inputs, max_new_tokens=1)
    chosen = int(step.token)
    numbers = torch.arange(120)  # token n means n
    probabilities = step.logits[0].softmax(dim=-1)
    close = float(probabilities[max(chosen - CLOSE, 0) : min(chosen + CLOSE + 1, 120)].sum())
    with start().submit(inputs, max_new_tokens=1, numbers=numbers) as request:
        (token,) = request
    assert chosen < 120
    assert token.logprob < token.close_logprob == pytest.approx(math.log(close), abs=1e-4)
    with start().submit(inputs, max_new_tokens=1, numbers=numbers[:chosen]) as request:
        (token,) = request
    assert token.close_logprob == token.logprob


def test_the_next_turn_of_a_conversation_computes_only_what_is_new(
    tiny_model: Model, start: MakeEngine, watch: Watch
) -> None:
    torch.manual_seed(2)  # an answer without the image token
    inputs = Prompt().text(30).image(6, 8).text(10).tensors()
    engine = start()
    answer = read(engine.submit(inputs, max_new_tokens=6))
    follow_up = dict(inputs)
    more = torch.randint(1, 140, (1, 7))
    follow_up["input_ids"] = torch.cat((inputs["input_ids"], torch.tensor([answer]), more), 1)
    expected = alone(tiny_model, follow_up, max_new_tokens=12)
    watch.passes.clear()
    watch.media = 0
    assert read(engine.submit(follow_up, max_new_tokens=12)) == expected
    # the last token of the answer was never run
    assert watch.passes[0] == (1, 8)
    assert watch.media == 0


def test_conversations_that_begin_alike_share_their_beginning_and_stay_apart(
    tiny_model: Model, start: MakeEngine, watch: Watch
) -> None:
    beginning = Prompt().text(20).image(6, 8)
    inputs = beginning.tensors()
    ends = [torch.randint(1, 140, (1, n)) for n in (5, 9, 3)]
    asked = [{**inputs, "input_ids": torch.cat((inputs["input_ids"], end), 1)} for end in ends]
    expected = [alone(tiny_model, one, max_new_tokens=16) for one in asked]
    engine = start()
    assert read(engine.submit(asked[0], max_new_tokens=16)) == expected[0]
    watch.passes.clear()
    requests = [engine.submit(one, max_new_tokens=16) for one in asked[1:]]
    assert [read(request) for request in requests] == expected[1:]
    assert {tokens for rows, tokens in watch.passes} <= {1, 9, 3}
    assert read(engine.submit(asked[0], max_new_tokens=16)) == expected[0]


def test_the_same_words_about_another_image_share_nothing_of_it(
    tiny_model: Model, start: MakeEngine
) -> None:
    prompt = Prompt().text(20).image(6, 8).text(5)
    inputs, other = prompt.tensors(), prompt.tensors()
    assert not torch.equal(inputs["pixel_values"], other["pixel_values"])
    expected = alone(tiny_model, other, max_new_tokens=16)
    assert expected != alone(tiny_model, inputs, max_new_tokens=16)
    engine = start()
    read(engine.submit(inputs, max_new_tokens=16))
    assert read(engine.submit(other, max_new_tokens=16)) == expected


def test_an_image_in_another_conversation_is_not_encoded_again(
    tiny_model: Model, start: MakeEngine, watch: Watch
) -> None:
    image = Prompt().image(6, 8).tensors()
    media = {name: image[name] for name in ("pixel_values", "image_grid_thw")}
    asked = [
        {
            **media,
            "input_ids": torch.cat((torch.tensor([[n + 1] * (n + 2)]), image["input_ids"]), 1),
        }
        for n in range(2)
    ]
    expected = [alone(tiny_model, inputs, max_new_tokens=10) for inputs in asked]
    engine = start(max_prefix_bytes=0)
    watch.media = 0
    assert [read(engine.submit(inputs, max_new_tokens=10)) for inputs in asked] == expected
    assert watch.media == 1


def test_a_reader_that_leaves_ends_its_computing_and_nobody_elses(
    tiny_model: Model, start: MakeEngine, watch: Watch
) -> None:
    asked = prompts(2)
    expected = alone(tiny_model, asked[1], max_new_tokens=40)
    engine = start()
    stopped = engine.submit(asked[0], max_new_tokens=4000)
    other = engine.submit(asked[1], max_new_tokens=40)
    with stopped:
        stopped.next_token(PATIENCE_S)
    assert read(other) == expected
    watch.passes.clear()
    read(engine.submit(asked[1], max_new_tokens=3))
    assert all(rows == 1 for rows, _ in watch.passes)
    assert engine.memory().running == 0


def test_a_reader_that_lags_is_waited_for(start: MakeEngine) -> None:
    engine = start()
    slow = engine.submit(prompts(1)[0], max_new_tokens=MAX_BACKLOG * 3)
    for _ in range(3):  # others are answered meanwhile
        read(engine.submit(prompts(2)[1], max_new_tokens=MAX_BACKLOG))
    assert slow.is_backlogged
    assert slow.ids.shape[1] - slow.prompt.length == MAX_BACKLOG
    assert len(read(slow)) == MAX_BACKLOG * 3


def test_one_too_many_waits_its_turn_and_knows_its_place(start: MakeEngine) -> None:
    engine = start(max_running=1)
    inputs = prompts(1)[0]
    first = engine.submit(inputs, max_new_tokens=4000)
    first.next_token(PATIENCE_S)
    second, third = (engine.submit(inputs, max_new_tokens=2) for _ in range(2))
    assert (second.place, third.place) == (1, 2)
    with pytest.raises(Empty):
        second.next_token(0.01)
    second.cancel()
    first.cancel()
    assert len(read(third)) == 2
    assert third.place == 0


def test_a_conversation_waits_for_memory_unless_it_is_alone(start: MakeEngine) -> None:
    engine = start(max_kv_bytes=1)
    inputs = prompts(1)[0]
    first = engine.submit(inputs, max_new_tokens=4000)
    first.next_token(PATIENCE_S)
    second = engine.submit(inputs, max_new_tokens=2)
    assert second.place == 1
    first.cancel()
    assert len(read(second)) == 2


def test_a_request_that_fails_ends_alone(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = prompts(3)
    monkeypatch.setattr(model.pacing, "READING_SHARE", 1.0)  # nobody ends before all are read
    expected = [alone(tiny_model, inputs, max_new_tokens=20) for inputs in asked]
    decoder = tiny_model.model.language_model
    run = decoder.forward
    failing: list[KVCache] = []

    def fail(*args: Any, **inputs: Any) -> Any:
        cache = inputs["past_key_values"]
        rows = getattr(cache, "rows", (cache,))
        out = run(*args, **inputs)  # after the caches were appended to
        if any(row is bad for row in rows for bad in failing):
            raise ArithmeticError("this conversation is cursed")
        return out

    monkeypatch.setattr(decoder, "forward", fail)
    engine = Stepped(tiny_model)
    requests = [engine.submit(inputs, max_new_tokens=20) for inputs in asked]
    while any(request.is_reading for request in requests):
        engine.turns()
    cache = requests[1].cache
    assert cache is not None
    failing.append(cache)
    engine.finish()
    with pytest.raises(ArithmeticError, match="cursed"):
        read(requests[1])
    for n in (0, 2):
        assert read(requests[n]) == expected[n]


def test_when_memory_runs_out_what_is_kept_goes_first_then_the_newest(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = prompts(3)
    monkeypatch.setattr(model.pacing, "READING_SHARE", 1.0)  # nobody ends before all are read
    expected = [alone(tiny_model, inputs, max_new_tokens=60) for inputs in asked]
    decoder = tiny_model.model.language_model
    run, limit = decoder.forward, threading.Event()

    def allocate(*args: Any, **inputs: Any) -> Any:
        if limit.is_set() and len(getattr(inputs["past_key_values"], "rows", ())) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")
        return run(*args, **inputs)

    monkeypatch.setattr(decoder, "forward", allocate)
    engine = Stepped(tiny_model)
    kept = engine.submit(asked[2], max_new_tokens=20)
    engine.finish()
    assert read(kept) == expected[2][:20]
    assert engine.memory().prefixes > 0
    requests = [engine.submit(inputs, max_new_tokens=60) for inputs in asked[:2]]
    while any(request.is_reading for request in requests):
        engine.turns()
    limit.set()
    engine.finish()
    with pytest.raises(OutOfMemory, match="memory ran out"):
        read(requests[1])
    assert read(requests[0]) == expected[0]


def test_what_is_kept_stays_within_its_bounds(start: MakeEngine) -> None:
    engine = start(max_prefix_bytes=200_000, max_vision_bytes=20_000)
    for _ in range(20):
        read(engine.submit(Prompt().text(20).image(6, 8).text(4).tensors(), max_new_tokens=3))
        memory = engine.memory()
        assert memory.running == 0
        assert 0 < memory.prefixes <= 200_000
        assert 0 < memory.vision <= 20_000


def test_askers_on_many_threads_get_their_own_answers(tiny_model: Model, start: MakeEngine) -> None:
    asked = prompts(6)
    expected = [alone(tiny_model, inputs, max_new_tokens=12) for inputs in asked]
    engine = start(max_running=3)
    with ThreadPoolExecutor(6) as threads:
        got = list(
            threads.map(lambda inputs: read(engine.submit(inputs, max_new_tokens=12)), asked * 2)
        )
    assert got == expected * 2


def test_closing_ends_everybody_with_a_reason(tiny_model: Model) -> None:
    engine = Engine(tiny_model, max_running=1)
    requests = [engine.submit(prompts(1)[0], max_new_tokens=4000) for _ in range(2)]
    requests[0].next_token(PATIENCE_S)
    engine.close()
    for request in requests:
        with pytest.raises(RuntimeError, match="closed"):
            read(request)
    with pytest.raises(RuntimeError, match="closed"):
        engine.submit(prompts(1)[0])


def test_tokens_and_media_that_do_not_match_are_refused_before_anything_is_computed(
    start: MakeEngine, watch: Watch
) -> None:
    inputs = Prompt().text(3).image(4, 6).text(2).tensors()
    watch.passes.clear()
    with pytest.raises(ValueError, match="Glm4vProcessor"):
        start().submit({**inputs, "pixel_values": inputs["pixel_values"][:-4]})
    assert watch.passes == []


def test_a_program_may_end_while_something_is_computed(tmp_path: Path) -> None:
    program = tmp_path / "ends.py"
    program.write_text(
        "import torch\n"
        "from model.config import Glm4vMoeConfig\n"
        "from model.engine import Engine\n"
        "from model.glm4v_moe import Glm4vMoeForConditionalGeneration\n"
        "from tiny import tiny_config\n"
        "model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config())).eval()\n"
        "prompt = {'input_ids': torch.ones(1, 400, dtype=torch.int64)}\n"
        "request = Engine(model).submit(prompt, max_new_tokens=60, eos_token_id=())\n"
        "request.next_token()\n"
    )
    root = Path(__file__).parents[2]
    paths = os.pathsep.join((str(root), str(root / "tests")))
    ended = subprocess.run([sys.executable, program], env={**os.environ, "PYTHONPATH": paths})
    assert ended.returncode == 0
