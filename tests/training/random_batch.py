"""A batch of two screens that show nothing, and a tiny model whose tokens are numbers too."""

from __future__ import annotations

import torch
from tiny import randomize, tiny_config

from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from training.objectives import Batch, PatchLabels
from training.packing import IGNORED
from training.targets import CHARACTER_CLASSES, COLUMNS, ICON_CLASSES, LETTER_PAIRS, ROLE_CLASSES

IMAGE, IMAGE_START, IMAGE_END = 1001, 1002, 1003
SPECIAL_IDS = {
    "image_token_id": IMAGE,
    "image_start_token_id": IMAGE_START,
    "image_end_token_id": IMAGE_END,
    "video_token_id": 1004,
    "video_start_token_id": 1005,
    "video_end_token_id": 1006,
}
VOCABULARY = 1010
PATCH_ROWS, PATCH_COLUMNS = 4, 6
CELLS = PATCH_ROWS * PATCH_COLUMNS // 4
SCREENS, TURNS, TOKENS = 2, 3, 8
FIRST_LABEL = 2


def build_model(dtype: torch.dtype = torch.float32) -> Glm4vMoeForConditionalGeneration:
    """Return the tiny model with random weights, ready to be trained."""
    config = tiny_config(text={"vocab_size": VOCABULARY}, **SPECIAL_IDS)
    model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**config))
    randomize(model, gain=1.0)
    return model.to(dtype).train()


def random_labels() -> PatchLabels:
    """Return targets of two screens; about half of the image tokens belong to an element."""
    has_element = torch.rand(SCREENS, CELLS) < 0.5
    has_element[:, 0] = True
    return PatchLabels(
        characters=torch.randint(0, CHARACTER_CLASSES, (SCREENS, 4 * CELLS, COLUMNS)),
        role=torch.randint(1, ROLE_CLASSES, (SCREENS, CELLS)) * has_element,
        icon=torch.randint(0, ICON_CLASSES, (SCREENS, CELLS)) * has_element,
        box=torch.rand(SCREENS, CELLS, 4) * 999,
        offset=torch.randn(SCREENS, CELLS, 4),
        letters=torch.rand(SCREENS, CELLS, LETTER_PAIRS) < 0.02,
    )


def random_batch() -> Batch:
    """Return two screens and three turns about each, one of them short and one without a box.

    Labels begin at token 2; those of tokens 3, 5, ... of the turns with a box are coordinates.
    """
    lengths = torch.tensor([[TOKENS, TOKENS - 2, 3], [TOKENS, TOKENS - 1, 4]])
    token = torch.arange(TOKENS)
    is_real = token < lengths[..., None]
    has_box = torch.tensor([True, True, False])[None, :, None]
    drawn = torch.randint(0, 1000, (SCREENS, TURNS, TOKENS))
    image = [7, IMAGE_START, *[IMAGE] * CELLS, IMAGE_END]
    cells = torch.rand(SCREENS, TURNS, CELLS) < 0.4
    cells[..., 1] = True
    return Batch(
        pixel_values=torch.randn(SCREENS * 4 * CELLS, 3 * 2 * 14 * 14),
        image_grid_thw=torch.tensor([[1, PATCH_ROWS, PATCH_COLUMNS]] * SCREENS),
        prefix_ids=torch.tensor([image] * SCREENS),
        turn_ids=torch.randint(0, 1000, (SCREENS, TURNS, TOKENS)),
        lengths=lengths,
        labels=drawn.where(is_real & (token >= FIRST_LABEL), IGNORED),
        coordinate=is_real & has_box & (token >= 3) & (token % 2 == 1),
        pointer_at=torch.tensor([[3, 3, -1]] * SCREENS),
        pointer_cells=cells,
        task=torch.tensor([[0, 7, 4]] * SCREENS),
        targets=random_labels(),
    )
