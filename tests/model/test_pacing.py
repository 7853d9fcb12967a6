"""How prompts are read while others are answered: whose turn it is, how much at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from prompts import Prompt
from stepping import Stepped, alone, pieces_of, read, text
from tiny import randomize, tiny_config
from torch import Tensor

import model.decoder
import model.engine
import model.pacing
from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.pacing import Pacing, even_context
from model.request import Request

Model = Glm4vMoeForConditionalGeneration
LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.5, 2.0, 3.0],
    "long_factor": [1.0, 2.0, 4.0, 8.0],
    "original_max_position_embeddings": 64,
    "mrope_section": [1, 1, 2],
}


def test_a_short_prompt_overtakes_a_long_one_which_is_not_forgotten(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces_of(monkeypatch, 10)
    engine = Stepped(tiny_model)
    long = engine.submit(text(300), max_new_tokens=1)
    engine.turns(4)
    short = [engine.submit(text(60), max_new_tokens=1) for _ in range(3)]
    engine.turns(8)
    assert [request.read for request in short] == [60, 0, 0]
    assert long.read == 40 + 20  # every fourth piece
    engine.turns(16)
    assert [request.read for request in short] == [60, 60, 60]
    assert long.read == 40 + 60


def test_of_prompts_that_are_read_the_one_with_least_left_is_next(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces_of(monkeypatch, 10)
    engine = Stepped(tiny_model)
    long = [engine.submit(text(100), max_new_tokens=1)]
    engine.turns(5)
    long.append(engine.submit(text(100), max_new_tokens=1))
    engine.turns()  # the first has less left to read
    short = engine.submit(text(10), max_new_tokens=1)
    engine.turns()
    assert [request.read for request in (*long, short)] == [60, 0, 10]


def test_where_angles_depend_on_the_length_nothing_is_shared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model.pacing, "FIRST_PIECE_TOKENS", 16)
    config = tiny_config({"rope_scaling": LONGROPE, "max_position_embeddings": 512})
    network = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**config)).eval()
    randomize(network)
    long = Prompt().text(80).tensors()
    asked = [{"input_ids": long["input_ids"][:, :50]}, long, text(30)]
    expected = [alone(network, inputs, max_new_tokens=12) for inputs in asked]
    engine = Stepped(network)
    requests = [engine.submit(inputs, max_new_tokens=12) for inputs in asked]
    engine.finish()
    assert [read(request) for request in requests] == expected


def test_pieces_are_as_long_as_the_machine_is_fast() -> None:
    pacing = Pacing()
    assert pacing.piece_tokens(alone=True) == model.pacing.FIRST_PIECE_TOKENS
    pacing.time_tokens(1000, 0.25)
    assert pacing.piece_tokens(alone=False) == 400  # a tenth of a second
    assert pacing.piece_tokens(alone=True) == 2000  # half a second
    pacing.time_tokens(8, 100.0, is_rest=True)  # of a few tokens nothing is learned
    assert pacing.piece_tokens(alone=False) == 400
    pacing.time_tokens(100, 1000.0)
    assert pacing.piece_tokens(alone=True) == model.pacing.FIRST_PIECE_TOKENS
    assert pacing.piece_tokens(alone=False) == model.pacing.MIN_PIECE_TOKENS
    pacing.time_tokens(100, 1e-7)
    assert pacing.piece_tokens(alone=True) == model.pacing.MAX_PIECE_TOKENS


def test_a_piece_that_can_pause_is_longer_by_as_many_turns_as_it_may_last() -> None:
    pacing = Pacing(layers=6 * model.pacing.LAYERS_PER_TURN)
    pacing.time_tokens(1000, 1.0)
    assert pacing.piece_tokens(alone=False) == 600
    assert pacing.piece_tokens(alone=False, is_inside=True) == 100
    assert pacing.piece_tokens(alone=True, is_inside=True) == 100
    assert pacing.piece_tokens(alone=True) == 3000
    pacing.time_tokens(100, 1000.0)
    assert pacing.piece_tokens(alone=True) == model.pacing.FIRST_PIECE_TOKENS
    assert pacing.piece_tokens(alone=False) == 6 * model.pacing.MIN_PIECE_TOKENS


def test_a_piece_takes_as_long_as_three_turns_for_those_who_are_answered() -> None:
    pacing = Pacing()
    pacing.time_tokens(1000, 1.0)
    for _ in range(50):
        pacing.time_answering(0.07)
    assert pacing.piece_tokens(alone=False) == 210
    pacing.time_answering(0.7)  # once the processor was busy with something else
    assert pacing.piece_tokens(alone=False) < 1000
    for _ in range(50):
        pacing.time_answering(0.2)
    assert pacing.piece_tokens(alone=False) in (599, 600)


def test_late_in_a_long_document_pieces_may_be_shorter() -> None:
    pacing = Pacing(even_context=1000)
    pacing.time_tokens(100, 1000.0)  # too slow for any piece
    late = [pacing.piece_tokens(alone=False, context=context) for context in (0, 1000, 10**6)]
    assert late == [model.pacing.MIN_PIECE_TOKENS, model.pacing.MIN_PIECE_TOKENS // 2, 4]


def test_attention_costs_as_much_as_the_weights_at_an_even_context() -> None:
    config = (
        Glm4vMoeConfig().text_config
    )  # GLM-4.5V: 12.2 billion weights a token, without the head
    attention = 4 * 46 * 96 * 128 * even_context(config)
    assert attention == pytest.approx(2 * 12.2e9, rel=0.01)


def test_who_is_answered_gets_a_share_of_the_time_while_a_prompt_is_read(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(model.engine, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    decoder = tiny_model.model.language_model
    run = decoder.forward

    def take_time(*args: Any, **inputs: Any) -> Any:
        is_piece = "inputs_embeds" in inputs
        clock[0] += 0.3 if is_piece else 0.03
        passes.append("piece" if is_piece else "token")
        return run(*args, **inputs)

    passes: list[str] = []
    monkeypatch.setattr(decoder, "forward", take_time)
    pieces_of(monkeypatch, 16)
    engine = Stepped(tiny_model)
    engine._can_pause = False  # as on a GPU
    engine.submit(text(10), max_new_tokens=40)
    engine.turns()
    engine.submit(text(90), max_new_tokens=1)
    passes.clear()
    engine.turns(12)
    # after a piece of 0.3 s, 0.1 s of tokens
    assert "".join(name[0] for name in passes) == "ptttt" * 3


LAYER_S = 0.2  # longer than a prompt is read without a pause
TOKEN_LAYER_S = 0.01


class Clock:
    """A time that passes in layers alone: `LAYER_S` in each of a prompt or picture, or a token's.

    Attributes:
        now: seconds.
        came: for each request when its tokens came.
        calls: what is done in a layer of a prompt or picture, by its number.
        layers: of prompts and pictures, so far.
    """

    def __init__(self, tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.came: dict[Request, list[float]] = defaultdict(list)
        self.calls: dict[int, Callable[[], None]] = {}
        self.layers = 0
        monkeypatch.setattr(model.engine, "time", SimpleNamespace(perf_counter=lambda: self.now))
        # all layers in one call would take no time
        monkeypatch.setattr(model.decoder, "step_for", lambda decoder, x: None)
        for layers in (tiny_model.model.language_model.layers, tiny_model.model.visual.blocks):
            for layer in layers:
                monkeypatch.setattr(layer, "forward", self._slow(layer.forward))
        take = Request.take

        def note(request: Request, *args: Any) -> bool:
            self.came[request].append(self.now)
            return take(request, *args)

        monkeypatch.setattr(Request, "take", note)

    def _slow(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def take_time(x: Tensor, *args: Any, **inputs: Any) -> Any:
            is_token = x.shape[-2] == 1
            self.now += TOKEN_LAYER_S if is_token else LAYER_S
            if not is_token:
                self.calls.pop(self.layers, lambda: None)()
                self.layers += 1
            return run(x, *args, **inputs)

        return take_time


def test_others_are_answered_between_the_layers_of_a_long_piece(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [text(5), Prompt().image(4, 6).text(60).tensors()]
    expected = [alone(tiny_model, inputs, max_new_tokens=30) for inputs in asked]
    clock, engine = Clock(tiny_model, monkeypatch), Stepped(tiny_model)
    first = engine.submit(asked[0], max_new_tokens=30)
    engine.turns()
    second = engine.submit(asked[1], max_new_tokens=30)
    while second.is_reading:
        engine.turns()
    # two blocks of the tower, three layers of the decoder: a token after each, or more
    gaps = [b - a for a, b in zip(clock.came[first], clock.came[first][1:], strict=False)]
    assert sum(gap > LAYER_S for gap in gaps) == 5
    assert max(gaps) == pytest.approx(LAYER_S + 3 * TOKEN_LAYER_S)
    engine.finish()
    assert [read(request) for request in (first, second)] == expected


def test_a_short_prompt_overtakes_a_long_one_in_the_middle_of_its_piece(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.pacing, "FIRST_PIECE_TOKENS", 150)
    asked = [text(200), text(9)]
    expected = [alone(tiny_model, inputs, max_new_tokens=9) for inputs in asked]
    clock, engine = Clock(tiny_model, monkeypatch), Stepped(tiny_model)
    requests = [engine.submit(asked[0], max_new_tokens=9)]
    clock.calls[0] = lambda: requests.append(engine.submit(asked[1], max_new_tokens=9))
    engine.finish()
    assert [read(request) for request in requests] == expected
    # one layer of the long one before, two of its piece after, and another piece
    assert clock.came[requests[1]][0] == pytest.approx(4 * LAYER_S)
    assert clock.came[requests[0]][0] > 9 * LAYER_S


def test_a_piece_that_completes_its_prompt_is_overtaken_by_nobody(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.pacing, "FIRST_PIECE_TOKENS", 150)
    clock, engine = Clock(tiny_model, monkeypatch), Stepped(tiny_model)
    requests = [engine.submit(text(150), max_new_tokens=2)]
    clock.calls[0] = lambda: requests.append(engine.submit(text(9), max_new_tokens=2))
    engine.finish()
    assert clock.came[requests[0]][0] == pytest.approx(3 * LAYER_S)


def test_a_piece_that_is_cancelled_ends_after_a_layer_and_harms_nobody(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [text(9), text(200)]
    expected = [alone(tiny_model, inputs, max_new_tokens=30) for inputs in asked]
    clock, engine = Clock(tiny_model, monkeypatch), Stepped(tiny_model)
    for others in (0, 1):
        kept = [engine.submit(asked[0], max_new_tokens=30) for _ in range(others)]
        engine.turns()
        long = engine.submit(asked[1], max_new_tokens=30)
        clock.calls[clock.layers + 1] = long.cancel
        before = clock.layers
        engine.turns(2)
        assert clock.layers == before + 2  # of three
        assert read(long) == []
        engine.finish()
        assert [read(request) for request in kept] == expected[:others]
    again = engine.submit(asked[1], max_new_tokens=30)
    engine.finish()
    assert read(again) == expected[1]


def test_an_engine_that_closes_waits_for_a_layer_and_not_for_a_piece(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, engine = Clock(tiny_model, monkeypatch), Stepped(tiny_model)
    request = engine.submit(text(200), max_new_tokens=9)
    clock.calls[0] = engine.close
    engine.turns()
    assert clock.layers == 1
    engine._end_all(RuntimeError("the engine was closed"))
    with pytest.raises(RuntimeError, match="closed"):
        read(request)


def test_who_is_alone_is_not_interrupted(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(tiny_model, monkeypatch)
    engine = Stepped(tiny_model)
    turns: list[Request | None] = []
    take_turn = engine._take_turn
    monkeypatch.setattr(
        engine, "_take_turn", lambda paused=None: (turns.append(paused), take_turn(paused))[1]
    )
    engine.submit(text(200), max_new_tokens=2)
    engine.finish()
    assert turns == [None] * len(turns) and len(turns) > 2


def test_where_time_passes_elsewhere_nobody_pauses(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, engine = Clock(tiny_model, monkeypatch), Stepped(tiny_model)
    engine._can_pause = False  # as on a GPU
    first = engine.submit(text(5), max_new_tokens=30)
    engine.turns()
    engine.submit(text(60), max_new_tokens=1)
    engine.turns()
    assert clock.came[first][-1] - clock.came[first][-2] > 3 * LAYER_S


def test_a_frame_larger_than_a_group_goes_through_the_tower_by_itself(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Prompt().text(2).video(3, 4, 6).text(3).tensors()
    expected = alone(tiny_model, inputs, max_new_tokens=9)
    monkeypatch.setattr("model.prompt.MAX_GROUP_PATCHES", 10)
    engine = Stepped(tiny_model)
    request = engine.submit(inputs, max_new_tokens=9)
    engine.finish()
    assert read(request) == expected
