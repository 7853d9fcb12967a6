"""What the numbers of a model count, and which models count so."""

from __future__ import annotations

import re
from dataclasses import dataclass

Size = tuple[float, float]

# A model may overshoot an edge a little; beyond this share of the range the number means something
# else (the vendor's own note: values above 1000 were never normalised).
OVERSHOOT = 0.1


@dataclass(frozen=True, slots=True)
class Convention:
    """What the numbers of a model count.

    Args:
        span: the value at the far edge; ``None`` where it is the size of an image.
        of_model_image: with ``span=None``: the image the model saw, not the original one.
        y_first: written y before x, boxes and points alike; does not touch numbers with a name
            (``"xmin": 10``).
        offset: added to every value: 0.5 where a value numbers a bin and means its middle.
        is_padded: the range spans a square as wide as the longer side, the image in its centre.
    """

    span: float | None
    of_model_image: bool = False
    y_first: bool = False
    offset: float = 0.0
    is_padded: bool = False

    def spans(self, width: float, height: float, model_size: Size | None) -> Size:
        """Values that stand for the right and the bottom edge of a ``width`` x ``height`` image."""
        if self.span is not None:
            return self.span, self.span
        if not self.of_model_image:
            return width, height
        if model_size is None:
            raise ValueError(
                "convention 'resized' counts pixels of the image the model saw; "
                "give its size as model_size=(width, height)"
            )
        return model_size


CONVENTIONS: dict[str, Convention] = {
    "glm": Convention(1000),  # zai-org/GLM-V README: value / 1000 x image size
    "norm1000": Convention(1000),
    "norm999": Convention(999),
    "norm1": Convention(1),
    "percent": Convention(100),
    "pixel": Convention(None),
    "resized": Convention(None, of_model_image=True),
    # Models that saw the image centred on a square (LLaVA, CogVLM, GLM-4V) and count thousandths.
    "padded": Convention(1000, is_padded=True),
    "gemini": Convention(1000, y_first=True),
    "paligemma": Convention(1024, y_first=True),  # <locDDDD>
    "florence2": Convention(1000, offset=0.5),  # <loc_D>: bins, as its processor reads them
    "kosmos2": Convention(32, offset=0.5),  # cells of a 32 x 32 grid, as its processor reads them
    # Where the syntax is one model's own it decides, elsewhere as "glm" (formats/, Reading).
    "auto": Convention(1000),
}

# The first pattern found in a model's name decides; what the models' own pages say. A name is
# lower-cased and "_", " " and "/" become "-" first.
_MODELS = [
    (r"paligemma", "paligemma"),
    (r"florence", "florence2"),
    (r"kosmos", "kosmos2"),
    (r"molmo-?2", "norm1000"),
    (r"molmo", "percent"),
    (r"cogagent", "glm"),
    (r"cogvlm|glm-4v(?!-?moe)", "padded"),
    (r"glm|autoglm|sightline|zhipu|z-ai", "glm"),
    # Doubao's UI-TARS 1.5 answers over an API that counts thousandths; the open 1.5 does not.
    (r"doubao|seed-?1|ui-?tars-?1\.0", "norm1000"),
    (r"ui-?tars-?(?:1\.5|2)", "resized"),
    (r"ui-?tars|os-?atlas|ui-?venus|agentcpm|mai-?ui|gui-?owl|mobile-?agent", "norm1000"),
    (r"minicpm|internvl|all-?seeing|intern-?s1", "norm1000"),
    (r"holo-?[12]|opencua|gui-?r1|infigui|gta-?1|jedi|ui-?r1", "resized"),
    (r"step-?gui|gelab|step3-?vl", "norm999"),
    (r"showui|kimi|moondream|seeclick|aguvis|omniparser", "norm1"),
    (r"deepseek", "norm999"),
    (r"qwen-?2\.5|qwen2-5|qvq", "resized"),
    (r"qwen", "norm1000"),
    (r"gemini|gemma", "gemini"),
    (r"claude|gpt-?[45]|computer-?use|(?:^|-)o[34](?:-|$)", "pixel"),
]


def get_convention(name: str) -> Convention:
    """Look up a convention; a ``ValueError`` names the known ones."""
    if name not in CONVENTIONS:
        raise ValueError(
            f"unknown coordinate convention {name!r}; known: {', '.join(sorted(CONVENTIONS))}"
        )
    return CONVENTIONS[name]


def convention_for_model(name: str) -> str:
    """Return the key of ``CONVENTIONS`` for a model's name: a hub id, a folder or an API's name.

    A model that is not known gives ``"auto"``. ``"resized"`` also needs the size of the image the
    model saw.
    """
    folded = re.sub(r"[\s_/\\]+", "-", name[:300].lower())
    return next((kind for pattern, kind in _MODELS if re.search(pattern, folded)), "auto")
