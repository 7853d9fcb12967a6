"""Many turns about one screen, run together, are what each of them is alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from tiny import SPECIAL_IDS, randomize, tiny_config
from torch import Tensor

from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.moe import ExpertLoad
from training.shared_attention import attend_turns, attend_turns_fused, attend_turns_reference
from training.shared_prefix import Probe, SharedOutput, forward_shared

IMAGE, IMAGE_START, IMAGE_END = (
    SPECIAL_IDS[f"image_{name}token_id"] for name in ("", "start_", "end_")
)
PATCH_DIM = 3 * 2 * 14 * 14
ROWS, COLUMNS = 4, 6
# of two screens; unlike enough for three groups, one of them without a turn of the second screen
LENGTHS = torch.tensor([[5, 17, 1, 4], [6, 9, 0, 3]])


def build(**changes: dict) -> Glm4vMoeForConditionalGeneration:
    model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config(**changes)))
    randomize(model, gain=1.0)
    return model.train()


@dataclass
class Screens:
    """Two screens and the turns about them."""

    pixel_values: Tensor
    image_grid_thw: Tensor
    prefix_ids: Tensor
    turn_ids: Tensor

    @classmethod
    def random(cls) -> Screens:
        image = [IMAGE_START, *[IMAGE] * (ROWS * COLUMNS // 4), IMAGE_END]
        return cls(
            torch.randn(2 * ROWS * COLUMNS, PATCH_DIM),
            torch.tensor([[1, ROWS, COLUMNS]] * 2),
            torch.tensor([[7, 8, *image], [9, 8, *image]]),
            torch.randint(1, 140, (2, 4, int(LENGTHS.max()))),
        )

    def shared(self, model: Glm4vMoeForConditionalGeneration, **options: Probe) -> SharedOutput:
        return forward_shared(
            model,
            self.pixel_values,
            self.image_grid_thw,
            self.prefix_ids,
            self.turn_ids,
            LENGTHS,
            **options,
        )

    def alone(
        self, model: Glm4vMoeForConditionalGeneration, screen: int, turn: int, **options: bool
    ) -> dict:
        """Inputs and outputs of the plain model on one prefix and one turn."""
        ids = self.turn_ids[screen, turn, : LENGTHS[screen, turn]]
        patches = self.pixel_values.unflatten(0, (2, -1))[screen]
        return model.model(
            input_ids=torch.cat((self.prefix_ids[screen], ids))[None],
            pixel_values=patches,
            image_grid_thw=self.image_grid_thw[screen : screen + 1],
            output_hidden_states=True,
            **options,
        )


def every_turn() -> list[tuple[int, int]]:
    return [(b, t) for b, t in LENGTHS.nonzero().tolist()]


def test_each_turn_gets_the_hidden_states_of_a_conversation_of_its_own() -> None:
    model, screens = build(), Screens.random()
    out = screens.shared(model, early_layers=2)
    hidden = out.hidden
    prefix = screens.prefix_ids.shape[1]
    for screen, turn in every_turn():
        want = screens.alone(model, screen, turn)
        tokens = int(LENGTHS[screen, turn])
        torch.testing.assert_close(
            hidden[screen, turn, :tokens], want.last_hidden_state[0, prefix:]
        )
        early = out.layout.padded(out.early_turn_states)
        torch.testing.assert_close(early[screen, turn, :tokens], want.hidden_states[2][0, prefix:])
        at_image = screens.prefix_ids[screen] == IMAGE
        torch.testing.assert_close(
            out.early_image_states[screen], want.hidden_states[2][0, :prefix][at_image]
        )


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_gradients_are_the_sum_of_those_of_the_turns(kv_heads: int) -> None:
    model, screens = build(text={"num_key_value_heads": kv_heads}), Screens.random()
    mark = torch.randn(64)
    (screens.shared(model).turn_states @ mark).square().sum().backward()
    got = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    prefix = screens.prefix_ids.shape[1]
    for screen, turn in every_turn():
        states = screens.alone(model, screen, turn).last_hidden_state[0, prefix:]
        (states @ mark).square().sum().backward()
    for name, parameter in model.model.named_parameters():
        assert got["model." + name] is not None, name
        scale = parameter.grad.abs().max().item()
        # sums of thousands of float32 terms in another order
        torch.testing.assert_close(
            got["model." + name], parameter.grad, atol=2e-5 * scale, rtol=1e-3, msg=name
        )


def test_short_floats_differ_by_rounding_only() -> None:
    model, screens = build().to(torch.bfloat16), Screens.random()
    hidden = screens.shared(model).hidden
    exact = screens.shared(model.float()).hidden
    error = (hidden.float() - exact).norm() / exact.norm()
    assert hidden.dtype == torch.bfloat16
    assert error < 0.05  # an 8-bit mantissa through two towers; a wrong position gives above 0.3


def test_attention_of_probed_tokens_is_that_of_the_slow_form() -> None:
    model, screens = build(), Screens.random()
    at = [(0, 1, 16), (1, 3, 0), (0, 2, 0), (1, 1, 8), (0, 1, 3)]
    screen, turn, token = torch.tensor(at).T
    out = screens.shared(model, probe=Probe((1, 2), screen, turn, token, head=3))
    assert out.attention.shape == (2, len(at), ROWS * COLUMNS // 4)
    prefix = screens.prefix_ids.shape[1]
    for index, (b, t, j) in enumerate(at):
        want = screens.alone(model, b, t, output_attentions=True).attentions
        at_image = (screens.prefix_ids[b] == IMAGE).nonzero()[:, 0]
        for row, layer in enumerate((1, 2)):
            torch.testing.assert_close(
                out.attention[row, index], want[layer][0, 3, prefix + j, at_image]
            )


@pytest.mark.parametrize("attend", [attend_turns, attend_turns_fused])
@pytest.mark.parametrize("heads", [(2, 2), (6, 2), (3, 1)])
def test_turns_attended_together_match_turns_one_by_one(
    heads: tuple[int, int], attend: Callable[..., Tensor]
) -> None:
    q = torch.randn(2, 3, 5, heads[0], 8)
    k, v = torch.randn(2, 2, 3, 5, heads[1], 8)
    prefix_k, prefix_v = torch.randn(2, 2, 7, heads[1], 8)
    want = attend_turns_reference(q, k, v, prefix_k, prefix_v)
    torch.testing.assert_close(attend(q, k, v, prefix_k, prefix_v), want)


def test_routers_see_every_real_token_once_and_no_padding() -> None:
    model, screens = build(), Screens.random()
    with ExpertLoad(model) as load:
        screens.shared(model)
    tokens = screens.prefix_ids.numel() + int(LENGTHS.sum())
    chosen = model.config.text_config.num_experts_per_tok
    assert [int(counts.sum()) for counts in load.counts] == [tokens * chosen] * 2


def test_padding_has_no_say() -> None:
    model, screens = build(), Screens.random()
    before = screens.shared(model).turn_states
    padding = torch.arange(int(LENGTHS.max())) >= LENGTHS[..., None]
    screens.turn_ids[padding] = 3
    assert torch.equal(screens.shared(model).turn_states, before)


def test_patch_states_are_what_the_tower_merges() -> None:
    model, screens = build(), Screens.random()
    out = screens.shared(model)
    visual = model.model.visual
    merged = visual.merger(visual.downsample(out.patch_states.flatten(0, 1)))
    torch.testing.assert_close(merged.view_as(out.image_embeds), out.image_embeds)
    assert out.patch_states.shape == (2, ROWS * COLUMNS, 32)


def test_a_wrong_number_of_image_tokens_is_named() -> None:
    model, screens = build(), Screens.random()
    screens.prefix_ids[1, 4] = 5
    with pytest.raises(ValueError, match="6 embeddings; the prefixes have .* image tokens"):
        screens.shared(model)


def test_images_of_unlike_sizes_are_refused() -> None:
    model, screens = build(), Screens.random()
    screens.image_grid_thw[1] = torch.tensor([1, 4, 4])
    with pytest.raises(ValueError, match="same number of patches"):
        screens.shared(model)
