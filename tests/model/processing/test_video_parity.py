"""A video file through processor and network, against transformers on the same frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from model.processing import (
    ClipFrames,
    Glm4vProcessor,
    Glm4vVideoProcessor,
    SampledFrame,
    open_clip,
)

PROMPT = "<|begin_of_video|><|video|><|end_of_video|> 7 of 12"

# Relative to the largest logit, as for the other comparisons of the network.
MAX_RELATIVE_ERROR = 2e-4


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """35 frames of moving edges at 10 per second, of a size that needs no resampling."""
    path = tmp_path_factory.mktemp("parity") / "clip.mp4"
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), 10, (112, 84)
    )
    for i in range(35):
        frame = np.zeros((84, 112, 3), np.uint8)
        cv2.rectangle(frame, (3 * i, 10), (3 * i + 20, 60), (0, 255, 9 * i % 256 - 1), -1)
        cv2.circle(frame, (60, 80 - 2 * i), 12, (255, 80, 0), 2)
        writer.write(frame)
    writer.release()
    return path


@pytest.fixture(params=["glm4v", "glm46v"])
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def subject(flavour: str, processor: Glm4vProcessor) -> Glm4vProcessor:
    """The bundled checkpoint's processor with the rules of one generation."""
    is_glm46v = flavour == "glm46v"
    return Glm4vProcessor(
        processor.image_processor,
        Glm4vVideoProcessor(processor.video_processor.settings, is_glm46v=is_glm46v),
        processor.tokenizer,
        processor.chat_template,
        is_glm46v=is_glm46v,
    )


@pytest.fixture(scope="module")
def pair(processor: Glm4vProcessor, parity_pair: Callable[..., tuple[Any, Any]]) -> tuple[Any, Any]:
    """Tiny models with the bundled tokenizer's ids and room for a clip."""
    added = processor.tokenizer.added_tokens
    return parity_pair(
        text={"vocab_size": processor.tokenizer.vocab_size, "max_position_embeddings": 4096},
        image_token_id=added["<|image|>"],
        video_token_id=added["<|video|>"],
        image_start_token_id=added["<|begin_of_image|>"],
        image_end_token_id=added["<|end_of_image|>"],
        video_start_token_id=added["<|begin_of_video|>"],
        video_end_token_id=added["<|end_of_video|>"],
    )


def test_a_clip_gives_the_ids_pixels_and_logits_of_transformers(
    flavour: str,
    clip: Path,
    subject: Glm4vProcessor,
    pair: tuple[Any, Any],
    reference_processor: Callable[[str], Any],
) -> None:
    from transformers.video_utils import read_video_opencv

    reference = reference_processor(flavour)
    frames, about = read_video_opencv(
        str(clip), lambda metadata, **_: np.arange(metadata.total_num_frames)
    )
    about.frames_indices = None  # every frame: the reference samples them itself
    wanted = reference(text=[PROMPT], videos=[frames], video_metadata=[about], return_tensors="pt")
    got = subject(text=[PROMPT], videos=[clip])
    assert got["input_ids"].tolist() == wanted["input_ids"].tolist()
    assert got["mm_token_type_ids"].tolist() == wanted["mm_token_type_ids"].tolist()
    assert got["video_grid_thw"].tolist() == wanted["video_grid_thw"].tolist()
    torch.testing.assert_close(got["pixel_values_videos"], wanted["pixel_values_videos"])

    theirs, ours = pair
    names = ("input_ids", "attention_mask", "pixel_values_videos", "video_grid_thw")
    with torch.no_grad():
        want = theirs(
            **{name: wanted[name] for name in names},
            mm_token_type_ids=wanted["mm_token_type_ids"].to(torch.int32),
        ).logits
        logits = ours(**{name: got[name] for name in names}).logits
    assert (logits - want).abs().max() < MAX_RELATIVE_ERROR * want.abs().max()


def test_other_frames_of_the_clip_give_other_logits(
    clip: Path, subject: Glm4vProcessor, pair: tuple[Any, Any]
) -> None:
    opened = open_clip(clip)
    frames = opened.sample("glm4v")
    later = [SampledFrame(f.index + 4, f.time_s) for f in frames[:-2]]
    names = ("input_ids", "attention_mask", "pixel_values_videos", "video_grid_thw")
    logits = []
    for chosen in (frames[:-2], later):
        inputs = subject(text=[PROMPT], videos=[ClipFrames(opened, chosen)])
        with torch.no_grad():
            logits.append(pair[1](**{name: inputs[name] for name in names}).logits)
    assert logits[0].shape == logits[1].shape
    assert (logits[0] - logits[1]).abs().max() > 100 * MAX_RELATIVE_ERROR * logits[0].abs().max()
