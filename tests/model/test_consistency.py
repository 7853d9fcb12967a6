"""One conversation computed in different ways gives the same answer."""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from prompts import Prompt, pad_together
from tiny import tiny_config
from torch import Tensor

from model.config import Glm4vMoeConfig
from model.decoder import Glm4vMoeTextModel
from model.glm4v_moe import Glm4vMoeForConditionalGeneration

Model = Glm4vMoeForConditionalGeneration


def close(got: Tensor, want: Tensor) -> None:
    torch.testing.assert_close(got, want, atol=2e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("split", [1, 7, 13])
def test_prefill_then_decode_equals_one_forward(tiny_model: Model, split: int) -> None:
    ids = Prompt().text(20).tensors()["input_ids"]
    want = tiny_model(ids).logits
    out = tiny_model(ids[:, :split])
    logits = [out.logits]
    for position in range(split, 20):
        out = tiny_model(ids[:, position : position + 1], past_key_values=out.past_key_values)
        logits.append(out.logits)
    close(torch.cat(logits, dim=1), want)


@torch.no_grad()
def test_chunks_equal_the_whole(tiny_model: Model) -> None:
    ids = Prompt().text(40).tensors()["input_ids"]
    want = tiny_model(ids).logits
    cache, logits = None, []
    for chunk in ids.split([3, 17, 1, 19], dim=1):
        out = tiny_model(chunk, past_key_values=cache)
        cache = out.past_key_values
        logits.append(out.logits)
    close(torch.cat(logits, dim=1), want)


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_equals_each_alone(tiny_model: Model, side: str) -> None:
    prompts = [Prompt().text(5), Prompt().text(2).image(4, 6).text(9), Prompt().video(2, 4, 4)]
    batch = pad_together(prompts, side)
    batch.pop("mm_token_type_ids")
    out = tiny_model(**batch)
    pixels = {"pixel_values": 0, "pixel_values_videos": 0}
    for row, prompt in enumerate(prompts):
        inputs = {"input_ids": torch.tensor([prompt.ids])}
        for name, grids in (
            ("pixel_values", prompt.image_grids),
            ("pixel_values_videos", prompt.video_grids),
        ):
            if grids:
                grid = torch.tensor(grids)
                start, size = pixels[name], int(grid.prod(-1).sum())
                inputs[name] = batch[name][start : start + size]
                inputs["video_grid_thw" if "video" in name else "image_grid_thw"] = grid
                pixels[name] += size
        alone = tiny_model(**inputs)
        real = batch["attention_mask"][row].bool()
        close(out.logits[row, real], alone.logits[0])
        assert out.rope_deltas[row] == alone.rope_deltas[0]


@torch.no_grad()
def test_a_padded_batch_goes_on_with_its_cache(tiny_model: Model) -> None:
    prompts = [Prompt().text(5), Prompt().text(2).image(4, 6).text(9)]
    batch = pad_together(prompts, "left")
    out = tiny_model(**batch)
    token = torch.tensor([[11], [12]])
    mask = torch.cat((batch["attention_mask"], torch.ones(2, 1, dtype=torch.int64)), dim=1)
    after = tiny_model(
        token, mask, past_key_values=out.past_key_values, rope_deltas=out.rope_deltas
    )
    longer = {
        **batch,
        "input_ids": torch.cat((batch["input_ids"], token), dim=1),
        "attention_mask": mask,
        "mm_token_type_ids": torch.cat((batch["mm_token_type_ids"], torch.zeros(2, 1)), 1).int(),
    }
    close(after.logits[:, 0], tiny_model(**longer).logits[:, -1])


@torch.no_grad()
def test_a_padded_batch_goes_on_with_new_images(tiny_model: Model) -> None:
    first = pad_together([Prompt().text(5), Prompt().text(2).image(4, 6).text(9)], "left")
    second = pad_together([Prompt().image(4, 8).text(3), Prompt().image(8, 4).text(3)], "left")
    whole = {
        name: torch.cat((first[name], second[name]), dim=1)
        for name in ("input_ids", "attention_mask", "mm_token_type_ids")
    }
    # media in the order of the rows: row 1 has an image in both turns
    pixels = [first["pixel_values"], *second["pixel_values"].split(32)]
    grids = [*first["image_grid_thw"], *second["image_grid_thw"]]
    want = tiny_model(
        **whole,
        pixel_values=torch.cat((pixels[1], pixels[0], pixels[2])),
        image_grid_thw=torch.stack((grids[1], grids[0], grids[2])),
    )
    head = tiny_model(**first)
    tail = tiny_model(
        **{**second, "attention_mask": whole["attention_mask"]},
        past_key_values=head.past_key_values,
        rope_deltas=head.rope_deltas,
    )
    close(tail.logits, want.logits[:, first["input_ids"].shape[1] :])
    assert tail.rope_deltas.tolist() == want.rope_deltas.tolist()


@torch.no_grad()
def test_a_cache_remembers_the_offset_of_its_images(tiny_model: Model) -> None:
    prompt = Prompt().text(2).image(4, 8).text(5)
    inputs = prompt.tensors()
    want = tiny_model(**inputs).logits
    head = {**inputs, "input_ids": inputs["input_ids"][:, :-4]}
    cache = tiny_model(**head).past_key_values
    got = tiny_model(inputs["input_ids"][:, -4:], past_key_values=cache)
    close(got.logits, want[:, -4:])


@torch.no_grad()
@pytest.mark.parametrize("with_types", [False, True])
def test_a_video_may_go_on_in_a_later_chunk(tiny_model: Model, with_types: bool) -> None:
    prompt = Prompt().text(2).video(2, 4, 4).text(3)
    inputs = prompt.tensors()
    want = tiny_model(**inputs).logits
    split, pixels = 2 + 1 + 7, inputs["pixel_values_videos"]  # after the first frame
    frame = torch.tensor([[1, 4, 4]])
    head = tiny_model(
        inputs["input_ids"][:, :split], pixel_values_videos=pixels[:16], video_grid_thw=frame
    )
    types = {"mm_token_type_ids": prompt.token_types()[:, split:]} if with_types else {}
    tail = tiny_model(
        inputs["input_ids"][:, split:],
        past_key_values=head.past_key_values,
        pixel_values_videos=pixels[16:],
        video_grid_thw=frame,
        **types,
    )
    close(torch.cat((head.logits, tail.logits), dim=1), want)


@torch.no_grad()
def test_given_token_types_decide_over_the_ids(tiny_model: Model) -> None:
    prompt = Prompt().text(2).image(4, 6).text(3)
    inputs = prompt.tensors()
    as_image = tiny_model(**inputs).logits
    as_video = tiny_model(
        inputs["input_ids"],
        pixel_values_videos=inputs["pixel_values"],
        video_grid_thw=inputs["image_grid_thw"],
        pixel_values=None,
        mm_token_type_ids=prompt.token_types() * 2,
    )
    close(as_video.logits, as_image)
    with pytest.raises(ValueError, match="0 tokens for media"):
        tiny_model(**inputs, mm_token_type_ids=prompt.token_types() * 2)


@torch.no_grad()
def test_an_image_and_a_video_in_one_prompt_equal_their_embeddings_given(
    tiny_model: Model,
) -> None:
    prompt = Prompt().text(2).image(4, 6).text(3).video(2, 4, 4).text(1).image(2, 4).text(4)
    inputs = prompt.tensors()
    out = tiny_model(**inputs)
    # by hand: embeddings put in their places, positions of the segments in order
    visual = tiny_model.model.visual
    embeds = tiny_model.model.language_model.embed_tokens(inputs["input_ids"])[0]
    types = torch.tensor(prompt.types)
    embeds[types == 1] = visual(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
    video = visual(inputs["pixel_values_videos"], inputs["video_grid_thw"])
    embeds[types == 2] = video.pooler_output
    sizes = iter([(2, 3), (2, 2), (2, 2), (1, 2)])
    planes: list[tuple[int, int, int]] = []
    position = at = 0
    while at < len(prompt.types):
        if prompt.types[at] == 0:
            planes.append((position,) * 3)
            position, at = position + 1, at + 1
            continue
        height, width = next(sizes)
        planes += [
            (position, position + r, position + c) for r in range(height) for c in range(width)
        ]
        position, at = position + max(height, width), at + height * width
    want = tiny_model(
        inputs_embeds=embeds[None], position_ids=torch.tensor(planes).T[:, None], use_cache=False
    )
    close(out.logits, want.logits)
    assert out.rope_deltas.tolist() == [position - len(prompt.ids)]


@torch.no_grad()
def test_embeddings_instead_of_ids_give_the_same_logits(tiny_model: Model) -> None:
    inputs = Prompt().text(3).image(4, 6).video(2, 4, 4).text(3).tensors()
    want = tiny_model(**inputs)
    embeds = tiny_model.model.language_model.embed_tokens(inputs.pop("input_ids"))
    got = tiny_model(inputs_embeds=embeds, **inputs)
    close(got.logits, want.logits)
    assert got.rope_deltas.tolist() == want.rope_deltas.tolist()


@torch.no_grad()
def test_cache_position_rewrites_what_the_cache_holds_from_there(tiny_model: Model) -> None:
    ids = Prompt().text(12).tensors()["input_ids"]
    want = tiny_model(ids).logits
    wrong = ids.clone()
    wrong[:, 8:] = 3
    cache = tiny_model(wrong).past_key_values
    got = tiny_model(ids[:, 8:], past_key_values=cache, cache_position=torch.arange(8, 12))
    close(got.logits, want[:, 8:])
    assert cache.length == 12


@torch.no_grad()
def test_a_tuple_holds_what_the_named_output_holds(tiny_model: Model) -> None:
    ids = Prompt().text(6).tensors()["input_ids"]
    named = tiny_model(ids, labels=ids, output_hidden_states=True)
    unnamed = tiny_model(ids, labels=ids, output_hidden_states=True, return_dict=False)
    assert len(unnamed) == 5
    close(unnamed[0], named.loss)
    close(unnamed[1], named.logits)
    close(named[1], named["logits"])


@torch.no_grad()
def test_a_cache_comes_back_as_argument_config_and_mode_say(tiny_model: Model) -> None:
    ids = Prompt().text(6).tensors()["input_ids"]
    assert tiny_model(ids, use_cache=False).past_key_values is None
    assert tiny_model(ids).past_key_values.length == 6
    without = Model(Glm4vMoeConfig(**tiny_config(text={"use_cache": False}))).eval()
    assert without(ids).past_key_values is None
    assert without(ids, use_cache=True).past_key_values.length == 6
    assert Model(Glm4vMoeConfig(**tiny_config())).train()(ids).past_key_values is None


@torch.no_grad()
def test_the_config_may_ask_for_tuples_hidden_states_and_attentions() -> None:
    switches = {"return_dict": False, "output_hidden_states": True, "output_attentions": True}
    model = Model(Glm4vMoeConfig(**tiny_config(**switches))).eval()
    ids = Prompt().text(6).tensors()["input_ids"]
    logits, cache, hidden_states, attentions, deltas = model(ids)
    assert logits.shape == (1, 6, 160)
    assert (cache.length, len(hidden_states), len(attentions), deltas.tolist()) == (6, 4, 3, [0])
    assert isinstance(model.model(ids), tuple)
    assert isinstance(model.model.language_model(ids, return_dict=False), tuple)
    assert model(ids, return_dict=True, output_attentions=False).attentions is None


@torch.no_grad()
def test_hidden_states_are_freed_layer_by_layer(tiny_model: Model) -> None:
    outputs: list[weakref.ref] = []
    alive: list[int] = []

    def watch(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        outputs.append(weakref.ref(output[0]))
        alive.append(sum(reference() is not None for reference in outputs))

    layers = tiny_model.model.language_model.layers
    hooks = [layer.register_forward_hook(watch) for layer in layers]
    tiny_model(Prompt().text(6).tensors()["input_ids"])
    for hook in hooks:
        hook.remove()
    assert max(alive) <= 2


@torch.no_grad()
def test_a_cache_made_in_inference_mode_goes_on_outside(tiny_model: Model) -> None:
    ids = Prompt().text(9).tensors()["input_ids"]
    with torch.inference_mode():
        cache = tiny_model(ids[:, :6]).past_key_values
    close(tiny_model(ids[:, 6:], past_key_values=cache).logits, tiny_model(ids).logits[:, 6:])


@torch.no_grad()
def test_a_refused_call_leaves_the_cache_as_it_was(tiny_model: Model) -> None:
    ids = Prompt().text(9).tensors()["input_ids"]
    cache = tiny_model(ids).past_key_values
    with pytest.raises(ValueError, match="attention_mask is"):
        tiny_model(
            ids[:, :2],
            torch.ones(1, 3),
            past_key_values=cache,
            cache_position=torch.arange(4, 6),
        )
    assert cache.length == 9


@torch.no_grad()
@pytest.mark.parametrize("planes", [1, 3, 4])
def test_one_three_or_four_planes_of_positions_mean_the_same(
    tiny_model: Model, planes: int
) -> None:
    ids = Prompt().text(6).tensors()["input_ids"]
    positions = torch.arange(6).expand(planes, 1, 6).clone()
    if planes == 4:
        positions[0] = 77  # transformers' text positions: only for packing
    close(tiny_model(ids, position_ids=positions).logits, tiny_model(ids).logits)


def test_outputs_read_like_a_mapping(tiny_model: Model) -> None:
    with torch.no_grad():
        out = tiny_model(Prompt().text(4).tensors()["input_ids"], use_cache=False)
    assert list(out.keys()) == ["logits", "rope_deltas"]
    assert "logits" in out
    assert "loss" not in out
    assert len(out) == 2
    with pytest.raises(KeyError, match="it has logits, rope_deltas"):
        out["loss"]


@torch.no_grad()
def test_the_text_model_takes_a_whole_config() -> None:
    whole = Glm4vMoeConfig(**tiny_config())
    from_whole = Glm4vMoeTextModel(whole).eval()
    from_section = Glm4vMoeTextModel(whole.text_config).eval()
    from_section.load_state_dict(from_whole.state_dict())
    ids = Prompt().text(6).tensors()["input_ids"]
    close(from_whole(ids).last_hidden_state, from_section(ids).last_hidden_state)


def test_two_conversations_on_two_threads_equal_each_alone(tiny_model: Model) -> None:
    prompts = [Prompt().text(4).image(4, 6).text(3), Prompt().video(2, 4, 4).text(9)]
    inputs = [prompt.tensors() for prompt in prompts]

    def answer(which: int) -> list[Any]:
        return tiny_model.generate(**inputs[which], max_new_tokens=40).tolist()

    alone = [answer(0), answer(1)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            assert list(pool.map(answer, (0, 1))) == alone


INPUTS = {"input_ids": torch.arange(1, 7)[None]}
BAD_INPUTS = {
    "nothing to run": ({"input_ids": None}, "either input_ids or inputs_embeds"),
    "a short mask": ({"attention_mask": torch.ones(1, 4)}, r"\(1, 4\); expected \(1, 6\)"),
    "labels and kept logits": (
        {"labels": INPUTS["input_ids"], "logits_to_keep": 1},
        "labels need the logits of every token",
    ),
    "no token": ({"input_ids": torch.empty(1, 0, dtype=torch.int64)}, "no token to run"),
    "two planes of positions": (
        {"position_ids": torch.zeros(2, 1, 6, dtype=torch.int64)},
        r"\(2, 1, 6\); expected \(1, 6\), or three such planes",
    ),
    "an empty grid": (
        {"pixel_values": torch.randn(0, 1176), "image_grid_thw": torch.empty(0, 3).long()},
        "must name at least one image",
    ),
    "a grid that can't be merged": (
        {"pixel_values": torch.randn(15, 1176), "image_grid_thw": torch.tensor([[1, 3, 5]])},
        "multiples of 2",
    ),
    "a gap in cache_position": (
        {"cache_position": torch.tensor([0, 1, 2, 3, 5, 6])},
        "contiguous",
    ),
    "cache_position beyond the cache": (
        {"cache_position": torch.arange(4, 10)},
        "the cache holds 0 tokens",
    ),
    "pixels without grids": ({"pixel_values": torch.randn(16, 1176)}, "need image_grid_thw"),
    "pixels without image tokens": (
        {"pixel_values": torch.randn(16, 1176), "image_grid_thw": torch.tensor([[1, 4, 4]])},
        "0 tokens for media that give 4 embeddings",
    ),
    "a grid of another shape": (
        {
            "input_ids": torch.tensor([[1, 152, 150, 150, 150, 150, 153]]),
            "image_grid_thw": torch.tensor([[1, 4, 6]]),
        },
        "4 vision tokens in a row don't fit the next grid, 2 x 3",
    ),
    "a grid too many": (
        {"image_grid_thw": torch.tensor([[1, 4, 4]])},
        "more than the prompt has tokens for",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD_INPUTS.values(), ids=BAD_INPUTS.keys())
def test_contradicting_inputs_are_refused_with_a_reason(
    tiny_model: Model, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_model(**{**INPUTS, **change})
