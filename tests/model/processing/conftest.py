"""The bundled checkpoint's processor, transformers' processors of it, and pictures to feed them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from model.processing import Glm4vProcessor, Glm4vTokenizer

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def bundled() -> Path:
    return ROOT / "assets" / "bundled"


@pytest.fixture(scope="session")
def real_configs() -> Path:
    return ROOT / "tests" / "data" / "real_configs"


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """Numbers that transformers 5.23 produced."""
    return json.loads((ROOT / "tests" / "data" / "golden.json").read_text())


@pytest.fixture(scope="session")
def processor(bundled: Path) -> Glm4vProcessor:
    return Glm4vProcessor.from_pretrained(bundled)


@pytest.fixture(scope="session")
def tokenizer(processor: Glm4vProcessor) -> Glm4vTokenizer:
    return processor.tokenizer


@pytest.fixture(scope="session")
def picture() -> Callable[..., Image.Image]:
    """Return a function that draws a picture with edges, text-like strokes and noise."""

    def draw(width: int, height: int, seed: int = 0) -> Image.Image:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width]
        waves = np.stack(
            [127 + 127 * np.sin(x / s) * np.cos(y / (s + 2)) for s in (3, 7, 23)], axis=-1
        )
        noise = rng.integers(0, 256, waves.shape)
        is_noise = rng.random((height, width, 1)) < 0.3
        return Image.fromarray(np.where(is_noise, noise, waves).astype(np.uint8))

    return draw


@pytest.fixture(scope="session")
def reference_video_class() -> Callable[[str], type]:
    """Return transformers' video processor class, with Pillow in the place of torchvision."""

    def build(flavour: str) -> type:
        # GLM-4.6V's module imports torchvision for the resize that is replaced below
        stub = ModuleType("torchvision.transforms.v2")
        stub.functional = ModuleType("functional")  # type: ignore[attr-defined]
        import_module("transformers.video_processing_utils")  # not to be misled by the stub
        with pytest.MonkeyPatch.context() as patch:
            for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.v2"):
                patch.setitem(sys.modules, name, stub)
            module = import_module(f"transformers.models.{flavour}.video_processing_{flavour}")
        base = {"glm4v": "Glm4vVideoProcessor", "glm46v": "Glm46VVideoProcessor"}[flavour]

        class Reference(getattr(module, base)):
            do_convert_rgb = False

            def resize(
                self, videos: Tensor, size: Any, resample: Any, factor: int, temporal_factor: int
            ) -> Tensor:
                height, width = module.smart_resize(
                    videos.shape[1],
                    *videos.shape[-2:],
                    temporal_factor=temporal_factor,
                    factor=factor,
                    min_pixels=size.shortest_edge,
                    max_pixels=size.longest_edge,
                )
                frames = [Image.fromarray(f.permute(1, 2, 0).numpy()) for f in videos[0]]
                small = [f.resize((width, height), Image.Resampling.BICUBIC) for f in frames]
                return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)[None].contiguous()

            def rescale_and_normalize(
                self, videos: Tensor, do_rescale: bool, factor: float, do_normalize: bool,
                mean: Any, std: Any,
            ) -> Tensor:  # fmt: skip
                shape = (3, 1, 1)
                mean, std = (torch.tensor(v, dtype=torch.float64).view(shape) for v in (mean, std))
                return ((videos.double() * factor - mean) / std).float()

        return Reference

    return build


@pytest.fixture(scope="session")
def reference_processor(
    bundled: Path, processor: Glm4vProcessor, reference_video_class: Callable[[str], type]
) -> Callable[[str], Any]:
    """Return transformers' whole processor for the bundled files, by flavour."""
    from transformers import AutoTokenizer
    from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil
    from transformers.models.glm4v.processing_glm4v import Glm4vProcessor as Reference4
    from transformers.models.glm46v.processing_glm46v import Glm46VProcessor as Reference46

    def build(flavour: str) -> Any:
        class Reference({"glm4v": Reference4, "glm46v": Reference46}[flavour]):
            def check_argument_for_proper_class(self, name: str, argument: Any) -> None:
                """Accept the classes above; the original looks for torchvision's."""

        return Reference(
            image_processor=Glm4vImageProcessorPil.from_pretrained(bundled),
            tokenizer=AutoTokenizer.from_pretrained(bundled),
            video_processor=reference_video_class(flavour).from_pretrained(bundled),
            chat_template=processor.chat_template.source,
        )

    return build
