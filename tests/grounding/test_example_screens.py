from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from grounding import parse
from model import Glm4vMoeForConditionalGeneration, Glm4vProcessor

ASSETS = Path(__file__).parents[2] / "assets"
EXAMPLES = json.loads((ASSETS / "examples" / "examples.json").read_text(encoding="utf-8"))
Ask = Callable[[Image.Image, str], str]


@pytest.fixture(scope="module")
def ask() -> Ask:
    model = Glm4vMoeForConditionalGeneration.from_pretrained(ASSETS / "bundled")
    processor = Glm4vProcessor.from_pretrained(ASSETS / "bundled")

    def answer(image: Image.Image, instruction: str) -> str:
        content = [{"type": "image", "image": image}, {"type": "text", "text": instruction}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}], enable_thinking=False, tokenize=True
        )
        inputs.pop("mm_token_type_ids")
        ids = model.generate(**inputs, max_new_tokens=48)
        return processor.decode(ids[0, inputs["input_ids"].shape[1] :].tolist())

    return answer


def test_there_are_six_examples_of_which_one_is_said_to_be_wrong() -> None:
    assert [example["answered"] for example in EXAMPLES].count("right") == 5
    assert [example["answered"] for example in EXAMPLES].count("wrong") == 1


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["file"])
def test_a_target_lies_inside_its_screenshot(example: dict) -> None:
    with Image.open(ASSETS / "examples" / example["file"]) as image:
        width, height = image.size
    x0, y0, x1, y1 = example["target"]
    assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["file"])
def test_the_bundled_model_answers_an_example_as_it_is_said_to(example: dict, ask: Ask) -> None:
    with Image.open(ASSETS / "examples" / example["file"]) as image:
        text = ask(image, example["instruction"])
        (box,) = parse(text, [image.size]).boxes
    x0, y0, x1, y1 = example["target"]
    is_hit = x0 <= box.center[0] <= x1 and y0 <= box.center[1] <= y1
    assert is_hit == (example["answered"] == "right")
