"""How much each objective counts."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class ObjectiveWeights:
    """Factors of the losses.

    Attributes:
        answers: the next token of answers and thoughts.
        pointer: finding the element among the image tokens.
        attention: looking at it while its box is written.
        image_coordinates: coordinates of its element from each image token, as number tokens.
        patch_characters: characters of each patch, read by the vision tower.
        token_characters: the same, read from the image tokens that the decoder gets.
        roles, icons, letters, boxes: of the element that an image token belongs to.
    """

    answers: float = 1.0
    pointer: float = 0.3
    attention: float = 0.5
    image_coordinates: float = 1.0
    patch_characters: float = 0.6
    token_characters: float = 0.3
    roles: float = 0.12
    icons: float = 0.09
    letters: float = 0.045
    boxes: float = 1.5

    def with_others(self, factor: float) -> ObjectiveWeights:
        """Return these weights, all but that of the answers times a factor."""
        names = [field.name for field in fields(self) if field.name != "answers"]
        return replace(self, **{name: factor * getattr(self, name) for name in names})


# Found by comparing runs: with a tenth of this weight for boxes, where an element is stayed the
# bottleneck; without the attention and the image coordinates, half as many clicks were right.
GROUNDING = ObjectiveWeights()

# A model that has learnt to see: what it answers counts for more. The others go on, so that nothing
# that they taught is lost.
CONTINUED = GROUNDING.with_others(0.25)

# The vision tower alone. What is not about characters comes in while pages get harder.
READING = ObjectiveWeights(
    answers=0.0,
    pointer=0.0,
    attention=0.0,
    image_coordinates=0.0,
    patch_characters=2.0,
    token_characters=1.0,
    roles=0.4,
    icons=0.3,
    letters=0.15,
    boxes=0.5,
)


def reading_weights(difficulty: float) -> ObjectiveWeights:
    """Weights of the reading phase, at 0 (easiest pages) .. 1."""
    share = min(1.0, max(0.05, 1.5 * difficulty))
    return replace(
        READING,
        roles=READING.roles * share,
        icons=READING.icons * share,
        letters=READING.letters * share,
    )
