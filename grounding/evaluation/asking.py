"""One item of a benchmark -> the model's answer and where it points, once or with a second look."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from PIL import Image

from grounding.evaluation.datasets import Item
from grounding.evaluation.metrics import Prediction, read_prediction
from grounding.look_twice import Crop, choose_crop, is_second_better
from grounding.parse import parse
from grounding.score import add_scores

# What a model may be asked by name; anything else with {instruction} in it is a template too.
PROMPTS = {
    # what the bundled model was trained with
    "click": "Click on {instruction}",
    # zai-org/GLM-V, README: the two that it gives for grounding
    "locate": "Help me to locate {instruction} in the image and give me its bounding boxes.",
    "pinpoint": "Please pinpoint the bounding box [[x1,y1,x2,y2], ...] in the image as per the "
    "given description. {instruction}",
}
PLACEHOLDER = "{instruction}"


class ItemError(ValueError):
    """An item cannot be asked about: its annotation contradicts its picture."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a model can be asked about.

    Attributes:
        image: upright; answers are in its pixels.
        seen_size: (width, height) at which the model sees it.
        content: the parts of a message that it becomes.
    """

    image: Image.Image
    seen_size: tuple[int, int]
    content: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said about a picture.

    Attributes:
        text: its answer, without the thought.
        is_cut: it came to the longest answer allowed.
        tokens: (text, natural logarithm of the probability) of what was generated; not kept.
    """

    text: str
    thinking: str = ""
    is_cut: bool = False
    new_tokens: int = 0
    tokens: tuple[tuple[str, float], ...] = ()


class Asker(Protocol):
    """A model, as an evaluation sees it. Its methods raise whatever goes wrong."""

    def open(self, file: Path) -> Picture:
        """Open a picture as the model is to see it; the file stays while it is asked about."""

    def ask(self, picture: Picture, question: str) -> Answer:
        """Return the model's answer to a question about a picture."""


@dataclass(frozen=True, slots=True)
class Look:
    """An answer and where it points, in pixels of the whole picture.

    Attributes:
        crop: the part that was shown, None for the whole picture.
        notes: what was dropped or repaired in reading the answer.
    """

    answer: Answer
    prediction: Prediction | None
    crop: Crop | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """What came of one item: looks at it, or why there are none.

    Attributes:
        key: of the item.
        size: (width, height) of the picture in pixels.
        looks: in order; the surer of those that point somewhere counts.
        error: what went wrong; such an item is in no figure, and is asked again by the next run.
    """

    key: str
    size: tuple[int, int] | None = None
    looks: tuple[Look, ...] = field(default=())
    error: str | None = None

    @property
    def prediction(self) -> Prediction | None:
        """What the looks together say; None if no answer has coordinates."""
        best: Prediction | None = None
        for look in self.looks:
            found = look.prediction
            if found is not None and (best is None or is_second_better(best.score, found.score)):
                best = found
        return best

    @property
    def first(self) -> Prediction | None:
        """What the first look alone says."""
        return self.looks[0].prediction if self.looks else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Record:
        """Return the record of ``to_dict``, also after a way through JSON.

        Raises:
            KeyError, TypeError: it is not such a record.
        """
        looks = tuple(
            Look(
                answer=Answer(**{**look["answer"], "tokens": ()}),
                prediction=_read_prediction(look["prediction"]),
                crop=None if look["crop"] is None else Crop(**look["crop"]),
                notes=tuple(look["notes"]),
            )
            for look in values["looks"]
        )
        size = None if values["size"] is None else (values["size"][0], values["size"][1])
        return cls(values["key"], size, looks, values["error"])


def _read_prediction(values: dict[str, Any] | None) -> Prediction | None:
    if values is None:
        return None
    box = None if values["box"] is None else tuple(values["box"])
    return Prediction(tuple(values["point"]), box, values["score"])


def fill_in(template: str, instruction: str) -> str:
    """Return the question: a template, or one of ``PROMPTS`` by name, with the instruction in it.

    Raises:
        ValueError: the template has no place for an instruction.
    """
    template = PROMPTS.get(template, template)
    if PLACEHOLDER not in template:
        raise ValueError(
            f"the prompt {template!r} has no {PLACEHOLDER}; put that where the instruction goes, "
            f"or give one of {', '.join(PROMPTS)}"
        )
    # not str.format: braces of the instruction are its own
    return template.replace(PLACEHOLDER, instruction)


def ask_about(
    item: Item, asker: Asker, *, prompt: str, convention: str, look_twice: bool
) -> Record:
    """Ask a model about one item.

    Args:
        prompt: template with {instruction}, or a key of ``PROMPTS``.
        convention: what the model's numbers count, a key of ``CONVENTIONS``.
        look_twice: ask again about the part around the first answer, where that shows more.

    Raises:
        ItemError: the annotation contradicts the picture.
        Exception: whatever ``asker`` raises.
    """
    question = fill_in(prompt, item.instruction)

    def look(picture: Picture, crop: Crop | None) -> Look:
        answer = asker.ask(picture, question)
        result = parse(
            answer.text,
            [picture.image.size],
            convention=convention,
            model_size=picture.seen_size,
        )
        scored = add_scores(result, answer.text, answer.tokens)
        whole = scored if crop is None else crop.restore(scored)
        kept = replace(answer, tokens=())
        return Look(kept, read_prediction(whole), crop, tuple(result.notes))

    picture = asker.open(item.image)
    size = picture.image.size
    _check(item, size)
    first = look(picture, None)
    found = first.prediction
    if not look_twice or found is None:
        return Record(item.key, size, (first,))
    crop = choose_crop(found.box or found.point, size, picture.seen_size)
    if crop is None:
        return Record(item.key, size, (first,))
    with TemporaryDirectory(prefix="look-twice-") as folder:
        file = Path(folder) / f"{item.image.stem}.png"
        crop.cut(picture.image).save(file, compress_level=1)
        return Record(item.key, size, (first, look(asker.open(file), crop)))


def _check(item: Item, size: tuple[int, int]) -> None:
    if item.size is not None and item.size != size:
        raise ItemError(
            f"{item.image.name} has {size[0]} x {size[1]} pixels, but {item.name} says "
            f"{item.size[0]} x {item.size[1]}; its target would be elsewhere"
        )
    x0, y0, x1, y1 = item.target
    if x1 <= 0 or y1 <= 0 or x0 >= size[0] or y0 >= size[1]:
        raise ItemError(
            f"the target {list(item.target)} of {item.name} lies outside {item.image.name}, "
            f"which has {size[0]} x {size[1]} pixels"
        )
