"""How the scripted backends of the tests open files: as the bundled model does."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from model.processing import Attachment, Glm4vProcessor, Limits, ModelView, open_attachment

BUNDLED = Path(__file__).parents[1] / "assets" / "bundled"


@lru_cache
def bundled_view() -> ModelView:
    return ModelView.of(Glm4vProcessor.from_pretrained(BUNDLED))


class OpensFiles:
    """Part of a backend: opens files for real, with the settings of the bundled model."""

    context_length: int | None = 8192
    model_name: str = "glm4v_moe"

    def open_attachment(
        self,
        path: str,
        *,
        limits: Limits,
        pages: str | None = None,
        fps: float | None = None,
        max_frames: int | None = None,
        max_item_tokens: int | None = None,
        animation_as_video: bool = False,
    ) -> Attachment:
        return open_attachment(
            path,
            limits=limits,
            view=bundled_view(),
            pages=pages,
            fps=fps,
            max_frames=max_frames,
            max_item_tokens=max_item_tokens,
            animation_as_video=animation_as_video,
        )
