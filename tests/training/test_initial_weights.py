"""The weights that training begins with: places, numbers and patches that can be told apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_batch import build_model
from torch import Tensor

from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.processing.patches import PatchSettings, patchify
from training.initial_weights import NUMBERS, initialize, number_curves, position_curves, whitening


def drawings(count: int = 12) -> list[NDArray[np.uint8]]:
    """Bright and dark screens with thin strokes, as unlike in strength as those of letters."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(count):
        image = np.full((56, 84, 3), rng.integers(0, 256), np.uint8)
        for _ in range(60):
            row, column = rng.integers(0, 50), rng.integers(0, 80)
            image[row : row + rng.integers(1, 6), column : column + rng.integers(1, 4)] ^= 0x38
        images.append(image)
    return images


def one_frame(images: list[NDArray[np.uint8]]) -> Tensor:
    """(N, 588): patches as the processor cuts them, the first of their two equal frames."""
    settings = PatchSettings(min_pixels=1, max_pixels=1 << 30)
    patches = [patchify(torch.from_numpy(x).movedim(2, 0)[None], settings) for x in images]
    return torch.cat(patches).unflatten(1, (3, 2, 196))[:, :, 0].flatten(1)


@pytest.fixture(scope="module")
def model() -> Glm4vMoeForConditionalGeneration:
    model = build_model()
    initialize(model, drawings(), seed=3)
    return model


def test_the_same_seed_gives_the_same_weights_and_another_one_others(
    model: Glm4vMoeForConditionalGeneration,
) -> None:
    again, other = build_model(), build_model()
    initialize(again, drawings(), seed=3)
    initialize(other, drawings(), seed=4)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name)), name
        if parameter.ndim > 1 and "position_embedding" not in name:
            assert not torch.equal(parameter, other.get_parameter(name)), name


def test_norms_are_one_and_biases_zero_but_that_of_the_patches(
    model: Glm4vMoeForConditionalGeneration,
) -> None:
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1 and "patch_embed" not in name:
            assert (parameter == (0.0 if name.endswith("bias") else 1.0)).all(), name


def test_whitened_patches_have_outputs_of_like_size_that_tell_nothing_of_each_other() -> None:
    weight, bias = whitening(drawings(), 16, torch.Generator().manual_seed(0))
    patches = one_frame(drawings())
    before = torch.linalg.eigvalsh(patches.T.cov()).flip(0)
    out = patches @ weight.T + bias
    covariance = out.T.cov()
    spread = covariance.diagonal()
    assert before[0] > 20 * before[15]
    torch.testing.assert_close(out.mean(0), torch.zeros(16), atol=1e-3, rtol=0)
    assert spread.max() < 1.1 * spread.min()
    assert (covariance - spread.diag()).abs().max() < 0.1 * spread.mean()


def test_the_vision_tower_begins_with_the_whitening_of_two_equal_frames(
    model: Glm4vMoeForConditionalGeneration,
) -> None:
    settings = PatchSettings(min_pixels=1, max_pixels=1 << 30)
    image = torch.from_numpy(drawings()[0]).movedim(2, 0)[None]
    out = model.model.visual.patch_embed(patchify(image, settings))
    frame = model.model.visual.patch_embed.proj.weight[:, :, 0].flatten(1)
    centre = one_frame(drawings()).mean(0)
    want = (one_frame(drawings()[:1]) - centre) @ (2 * frame).mT
    torch.testing.assert_close(out, want, atol=1e-3, rtol=1e-3)


def test_near_numbers_have_near_vectors() -> None:
    vectors = number_curves(64, 0.2, torch.Generator().manual_seed(0))
    assert vectors.shape == (NUMBERS, 64)
    assert vectors.std().item() == pytest.approx(0.2, rel=1e-3)
    distance = torch.cdist(vectors[500:501], vectors)[0]
    assert distance[500] < distance[501] < distance[505] < distance[540]
    assert distance.argsort()[:5].sort().values.tolist() == [498, 499, 500, 501, 502]


def test_near_places_have_near_vectors_in_both_directions() -> None:
    places = position_curves(6, 32).unflatten(0, (6, 6))
    for far, near in ((places[2, 5], places[2, 3]), (places[5, 2], places[3, 2])):
        assert (places[2, 2] - near).norm() < (places[2, 2] - far).norm()
    # rows are in one half, columns in the other
    torch.testing.assert_close(places[2, 1, :16], places[2, 4, :16])
    torch.testing.assert_close(places[1, 3, 16:], places[5, 3, 16:])


def test_layers_keep_the_size_of_what_they_get(model: Glm4vMoeForConditionalGeneration) -> None:
    x = torch.randn(512, 64)
    layer = model.model.language_model.layers[0]
    for projection in (layer.self_attn.q_proj, layer.mlp.gate_proj):
        assert projection(x).std().item() == pytest.approx(1.0, rel=0.15)
    # what is added to the stream of states begins smaller
    assert layer.self_attn.o_proj(x).std().item() == pytest.approx(0.5, rel=0.15)
    experts = model.model.language_model.layers[1].mlp.experts
    assert (x @ experts.gate_up_proj[0].mT).std().item() == pytest.approx(1.0, rel=0.15)
