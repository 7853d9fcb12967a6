from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grounding import CONVENTIONS, convention_for_model, parse, point_to_pixels, to_pixels

SIZES = [(1, 1), (1, 5000), (5000, 1), (407, 663), (224, 168), (3840, 2160), (1080, 1920)]
MODEL_SIZE = (504, 336)
# The value at the far edge, written down here a second time; None: pixels.
FAR_EDGE = {"glm": 1000, "norm1000": 1000, "auto": 1000, "norm999": 999, "norm1": 1, "percent": 100,
            "pixel": None, "resized": None, "gemini": 1000, "paligemma": 1024, "florence2": 1000,
            "kosmos2": 32, "padded": 1000}  # fmt: skip


def to_model(x: float, y: float, convention: str, size: tuple[int, int]) -> tuple[float, float]:
    """Write a pixel position as the model would, unrounded, in the model's order."""
    width, height = size
    if convention == "pixel":
        return x, y
    if convention == "resized":
        return x / width * MODEL_SIZE[0], y / height * MODEL_SIZE[1]
    far = FAR_EDGE[convention]
    assert far is not None
    if convention == "padded":
        side = max(size)
        return (x + (side - width) / 2) / side * far, (y + (side - height) / 2) / side * far
    bin_middle = 0.5 if convention in ("florence2", "kosmos2") else 0
    pair = (x / width * far - bin_middle, y / height * far - bin_middle)
    return pair[::-1] if convention in ("gemini", "paligemma") else pair


def test_every_convention_has_its_far_edge_here() -> None:
    assert set(FAR_EDGE) == set(CONVENTIONS)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("convention", sorted(CONVENTIONS))
@given(fractions=st.tuples(*[st.floats(0, 1)] * 4))
def test_every_convention_finds_a_place_within_a_millionth(
    convention: str, size: tuple[int, int], fractions: tuple[float, ...]
) -> None:
    width, height = size
    xa, ya, xb, yb = (f * side for f, side in zip(fractions, (*size, *size), strict=True))
    numbers = to_model(xa, ya, convention, size) + to_model(xb, yb, convention, size)
    box = to_pixels(numbers, width, height, convention=convention, model_size=MODEL_SIZE)
    want = (min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))
    assert max(abs(a - b) for a, b in zip(box.xyxy, want, strict=True)) <= 1e-6 * max(size)


@pytest.mark.parametrize("size", SIZES)
@given(data=st.data())
def test_a_box_rounded_to_thousandths_comes_back_within_half_a_thousandth(
    size: tuple[int, int], data: st.DataObject
) -> None:
    width, height = size
    x0 = data.draw(st.floats(0, width))
    y0 = data.draw(st.floats(0, height))
    norm = (round(x0 / width * 1000), round(y0 / height * 1000), 1000, 1000)
    box = to_pixels(norm, width, height)
    assert abs(box.x0 - x0) <= width / 2000 + 1e-6
    assert abs(box.y0 - y0) <= height / 2000 + 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_the_whole_range_is_the_whole_image(size: tuple[int, int]) -> None:
    assert to_pixels((0, 0, 1000, 1000), *size).xyxy == (0, 0, *size)
    assert to_pixels((0, 0, 999, 999), *size, convention="norm999").xyxy == (0, 0, *size)
    assert point_to_pixels((1000, 1000), *size).xy == size


@pytest.mark.parametrize("convention", sorted(CONVENTIONS))
@pytest.mark.parametrize("size", [(407, 663), (3840, 2160)])
def test_a_parsed_reply_uses_the_same_mapping(convention: str, size: tuple[int, int]) -> None:
    width, height = size
    first = to_model(width * 0.25, height * 0.375, convention, size)
    second = to_model(width * 0.5, height * 0.625, convention, size)
    norm = first + second
    text = f"<|begin_of_box|>[[{norm[0]}, {norm[1]}, {norm[2]}, {norm[3]}]]<|end_of_box|>"
    (box,) = parse(text, [size], convention=convention, model_size=MODEL_SIZE).boxes
    want = to_pixels(norm, *size, convention=convention, model_size=MODEL_SIZE)
    assert box.xyxy == want.xyxy


# How each convention writes a box, and the step between two values it can write.
WRITTEN = {
    "glm": ("<|begin_of_box|>[[{}, {}, {}, {}]]<|end_of_box|>", 1),
    "norm1000": ("<|box_start|>({},{}),({},{})<|box_end|>", 1),
    "auto": ("<ref>a</ref><box>[[{}, {}, {}, {}]]</box>", 1),
    "norm999": ("<|ref|>a<|/ref|><|det|>[[{}, {}, {}, {}]]<|/det|>", 1),
    "norm1": ('{{"x_min": {}, "y_min": {}, "x_max": {}, "y_max": {}}}', 0.001),
    "percent": ('<points x1="{}" y1="{}" x2="{}" y2="{}" alt="a">a</points>', 0.1),
    "pixel": ('{{"bbox": [{}, {}, {}, {}]}}', 1),
    "resized": ('```json\n[{{"bbox_2d": [{}, {}, {}, {}], "label": "a"}}]\n```', 1),
    "gemini": ('[{{"box_2d": [{}, {}, {}, {}], "label": "a"}}]', 1),
    "paligemma": ("<loc{:04}><loc{:04}><loc{:04}><loc{:04}> a", 1),
    "florence2": ("a<loc_{}><loc_{}><loc_{}><loc_{}>", 1),
    "kosmos2": ("<phrase>a</phrase><object><patch_index_{:04}><patch_index_{:04}></object>", 1),
    "padded": ("[[{}, {}, {}, {}]]", 1),
}


@pytest.mark.parametrize("size", [(1, 4000), (407, 663), (3840, 2160), (5000, 1)])
@pytest.mark.parametrize("convention", sorted(CONVENTIONS))
@given(fractions=st.tuples(*[st.floats(0, 1)] * 4))
def test_a_target_written_as_the_model_writes_it_comes_back_within_half_a_step(
    convention: str, size: tuple[int, int], fractions: tuple[float, ...]
) -> None:
    """Bound: one pixel, or half a step where a step is wider (32 cells over 3840 px: 60 px)."""
    width, height = size
    (xa, xb), (ya, yb) = sorted(fractions[:2]), sorted(fractions[2:])
    # A target of a tenth of the side at least: one without area is a point.
    xb, yb = max(xb, min(1.0, xa + 0.1)), max(yb, min(1.0, ya + 0.1))
    xa, ya = min(xa, xb - 0.1), min(ya, yb - 0.1)
    want: tuple[float, ...] = (xa * width, ya * height, xb * width, yb * height)
    template, step = WRITTEN[convention]
    numbers = [*to_model(*want[:2], convention, size), *to_model(*want[2:], convention, size)]
    values: list[float] = [round(round(number / step) * step, 6) for number in numbers]
    if convention == "paligemma":
        values = [min(value, 1023) for value in values]
    elif convention in ("florence2", "kosmos2"):
        last = 999 if convention == "florence2" else 31
        values = [min(max(value, 0), last) for value in values]
    if convention == "kosmos2":
        values = [values[1] * 32 + values[0], values[3] * 32 + values[2]]
    result = parse(template.format(*values), [size], convention, MODEL_SIZE)
    if result.boxes:
        found: tuple[float, ...] = result.boxes[0].xyxy
    elif len(result.points) == 2:  # Molmo's opposite corners
        found = (*result.points[0].xy, *result.points[1].xy)
    else:  # no area where a step is wider than the image: the middle, as a point
        found = result.points[0].xy
        want = ((want[0] + want[2]) / 2, (want[1] + want[3]) / 2)
    far = FAR_EDGE[convention]
    sides = (max(size),) * 2 if convention == "padded" else size
    spans = (far, far) if far else (size if convention == "pixel" else MODEL_SIZE)
    # The last bin's number is not the far edge: one step there.
    steps = 1 if convention == "paligemma" else 0.5
    for axis, (a, b) in enumerate(zip(found, want, strict=True)):
        quantum = steps * step / spans[axis % 2] * sides[axis % 2]
        assert abs(a - b) <= max(1.0, quantum) + 1e-6


def test_each_image_uses_its_own_size_and_model_size() -> None:
    text = "Image 1: [[0,0,252,336]] Image 2: [[0,0,100,100]]"
    sizes = [(1008, 672), (500, 400)]
    boxes = parse(text, sizes, convention="resized", model_size=[(504, 336), (100, 200)]).boxes
    assert [box.xyxy for box in boxes] == [(0, 0, 504, 672), (0, 0, 500, 200)]


@pytest.mark.parametrize(
    ("convention", "names"),
    [
        ("glm", "zai-org/GLM-4.5V zai-org/GLM-4.6V-Flash glm-4.5v GLM-4.1V-9B-Thinking "
                "AutoGLM-Phone-9B THUDM/cogagent-9b-20241220"),
        ("padded", "THUDM/glm-4v-9b THUDM/cogvlm2-llama3-chat-19B"),
        ("norm1000", "Qwen/Qwen3-VL-8B-Instruct Qwen/Qwen2-VL-7B-Instruct Qwen/Qwen-VL-Chat "
                     "bytedance-research/UI-TARS-7B-SFT doubao-1.5-ui-tars-250328 "
                     "OS-Copilot/OS-Atlas-Pro-7B "
                     "openbmb/AgentCPM-GUI inclusionAI/UI-Venus-Ground-7B OpenGVLab/InternVL3_5-8B "
                     "openbmb/MiniCPM-V-4_5 allenai/Molmo2-8B Tongyi-MAI/MAI-UI-8B"),
        ("resized", "Qwen/Qwen2.5-VL-72B-Instruct ByteDance-Seed/UI-TARS-1.5-7B "
                    "Hcompany/Holo1.5-7B xlangai/OpenCUA-7B"),
        ("norm1", "showlab/ShowUI-2B moonshotai/Kimi-VL-A3B-Thinking vikhyatk/moondream2"),
        ("norm999", "deepseek-ai/deepseek-vl2-small deepseek-ai/DeepSeek-OCR "
                    "stepfun-ai/GELab-Zero-4B"),
        ("percent", "allenai/Molmo-7B-D-0924"),
        ("gemini", "gemini-2.5-pro models/gemini-3-flash google/gemma-3-27b-it"),
        ("paligemma", "google/paligemma2-3b-mix-448"),
        ("florence2", "microsoft/Florence-2-large"),
        ("kosmos2", "microsoft/kosmos-2-patch14-224"),
        ("pixel", "claude-opus-4-1 gpt-4o computer-use-preview o3"),
        ("auto", "my-own-model llava-1.5-7b"),
    ],
)  # fmt: skip
def test_a_model_name_says_what_its_numbers_count(convention: str, names: str) -> None:
    assert {convention_for_model(name) for name in names.split()} == {convention}
