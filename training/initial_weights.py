"""Weights of a model that knows nothing yet, but in which learning goes fast.

Plain random weights learn to read late or never: strokes of letters are a thousandth of what a
patch's brightness is, and neighbouring numbers have nothing in common. So patches are whitened, and
places and numbers begin as smooth curves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.processing.patches import PatchSettings, patchify
from training.objectives.answers import NUMBERS

NUMBER_WAVES = 48  # from half a period over all numbers to 44 of them
NUMBER_STEP = 1.1
NUMBER_FALL = 0.35  # amplitude falls with this power of the frequency
POSITION_OCTAVES = 4
POSITION_SCALE = 0.5
EMBEDDING_STD = 0.2
HEAD_STD = 0.02
RESIDUAL_SCALE = 0.5  # of what is added to the residual stream
# but not of the merger, whose output is an input itself
RESIDUAL = (
    "o_proj.weight",
    "attn.proj.weight",
    "mlp.down_proj.weight",
    "shared_experts.down_proj.weight",
    "mlp.experts.down_proj",
)
# Directions of patches much weaker than the twentieth strongest are noise and stay weak.
RIDGE_OF, RIDGE = 20, 0.02


@torch.no_grad()
def initialize(
    model: Glm4vMoeForConditionalGeneration, images: Iterable[np.ndarray], seed: int
) -> None:
    """Give every parameter its first value; biases are zero and norms one.

    Args:
        model: whose token ids 0 .. 999 are the numbers of coordinates.
        images: (H, W, 3) uint8 screens such as it will see; some hundred of them.
        seed: the same one gives the same weights.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            draw = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(draw * standard_deviation(name, parameter))
        else:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    hidden = model.config.text_config.hidden_size
    embedding, head = model.model.language_model.embed_tokens.weight, model.lm_head.weight
    embedding[:NUMBERS] = number_curves(hidden, EMBEDDING_STD, generator)
    head[:NUMBERS] = number_curves(hidden, HEAD_STD, generator)
    visual = model.model.visual
    table = visual.embeddings.position_embedding.weight
    table.copy_(position_curves(round(len(table) ** 0.5), table.shape[1]) * POSITION_SCALE)
    weight, bias = whitening(images, table.shape[1], generator)
    projection = visual.patch_embed.proj
    # both frames of a patch show the same picture
    frames = projection.weight.shape[2]
    projection.weight.copy_(
        (weight / frames).unflatten(1, (3, 1, 14, 14)).expand_as(projection.weight)
    )
    assert projection.bias is not None
    projection.bias.copy_(bias)


def standard_deviation(name: str, parameter: Tensor) -> float:
    """Return how far values of a matrix spread: their outputs are as large as their inputs."""
    if "embed_tokens" in name:
        return EMBEDDING_STD
    if "lm_head" in name or name.endswith("mlp.gate.weight"):
        return HEAD_STD
    inputs = parameter.shape[-1] if "experts." in name else parameter[0].numel()
    is_added = name.endswith(RESIDUAL)
    return (RESIDUAL_SCALE if is_added else 1.0) / math.sqrt(inputs)


def number_curves(size: int, std: float, generator: torch.Generator) -> Tensor:
    """Return (1000, size) vectors of the numbers, near for near numbers."""
    numbers = torch.arange(NUMBERS) / NUMBERS
    scale = NUMBER_STEP ** torch.arange(NUMBER_WAVES)
    waves = math.pi * numbers[:, None] * scale
    amplitude = scale**-NUMBER_FALL
    features = torch.cat((waves.sin() * amplitude, waves.cos() * amplitude), dim=-1)
    vectors = features @ torch.randn(2 * NUMBER_WAVES, size, generator=generator)
    return vectors / vectors.std() * std


def position_curves(side: int, size: int) -> Tensor:
    """Return (side * side, size) vectors of the places of a square grid, row by row."""
    at = (torch.arange(side) + 0.5) / side
    count = size // 4
    frequencies = math.pi * 2 ** (torch.arange(count) * (POSITION_OCTAVES / count))
    waves = at[:, None] * frequencies
    one = torch.cat((waves.sin(), waves.cos()), dim=-1)  # (side, size / 2)
    rows, columns = one[:, None].expand(side, side, -1), one[None].expand(side, side, -1)
    return torch.cat((rows, columns), dim=-1).flatten(0, 1)


def whitening(
    images: Iterable[np.ndarray], size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return weight (size, 588) and bias (size,): patches in, principal components of equal size.

    The components are rotated at random, so that none of the outputs is special.
    """
    settings = PatchSettings(min_pixels=1, max_pixels=1 << 30)
    patches = torch.cat(
        [patchify(torch.tensor(image).movedim(2, 0)[None], settings) for image in images]
    )
    one_frame = patches.unflatten(1, (3, 2, 14 * 14))[:, :, 0].flatten(1).double()  # (N, 588)
    mean = one_frame.mean(0)
    centred = one_frame - mean
    variances, directions = torch.linalg.eigh(centred.mT @ centred / len(centred))
    variances, directions = variances.flip(0)[:size], directions.flip(1)[:, :size]
    ridge = RIDGE * variances[min(RIDGE_OF, size - 1)]
    components = (directions / (variances + ridge).sqrt()).mT
    turned, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    weight = turned @ components
    return weight.float(), -(weight @ mean).float()
