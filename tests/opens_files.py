"""How the scripted backends of the tests open files: as the bundled model does."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from model.backends.base import Abilities, SamplingOptions
from model.processing import (
    WHOLE,
    Attachment,
    Choice,
    Glm4vProcessor,
    Limits,
    ModelView,
    open_attachment,
)

BUNDLED = Path(__file__).parents[1] / "assets" / "bundled"


@lru_cache
def bundled_view() -> ModelView:
    return ModelView.of(Glm4vProcessor.from_pretrained(BUNDLED))


class OpensFiles:
    """Part of a backend: opens files for real, with the settings of the bundled model."""

    context_length: int | None = 8192
    model_name: str = "glm4v_moe"
    abilities: Abilities = Abilities(thinking_budget=True, continuing=True)
    defaults: SamplingOptions = SamplingOptions(temperature=1.0, top_p=0.6)

    def open_attachment(self, path: str, choice: Choice = WHOLE, *, limits: Limits) -> Attachment:
        return open_attachment(
            path,
            choice,
            limits=limits,
            view=bundled_view(),
        )
