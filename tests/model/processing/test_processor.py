"""Prompts with media: the same tensors as transformers, and refusals that say what is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from model.processing import Glm4vProcessor, MediaError
from model.processing.checkpoint_files import SMALL_FILES, find_folder

IMAGE_TEXT = "<|begin_of_image|><|image|><|end_of_image|>"
VIDEO_TEXT = "<|begin_of_video|><|video|><|end_of_video|>"


def as_flavour(processor: Glm4vProcessor, flavour: str) -> Glm4vProcessor:
    """The bundled processor with the frame sampling and timestamps of a flavour."""
    video = type(processor.video_processor)(
        processor.video_processor.settings, is_glm46v=flavour == "glm46v"
    )
    return Glm4vProcessor(
        processor.image_processor,
        video,
        processor.tokenizer,
        processor.chat_template,
        is_glm46v=flavour == "glm46v",
    )


def assert_same_inputs(got: dict[str, torch.Tensor], wanted: Any) -> None:
    assert set(got) == set(wanted.keys())
    for key, tensor in got.items():
        if key.startswith("pixel_values"):
            # 2 of 255 levels after dividing by the smallest deviation, 0.26
            torch.testing.assert_close(tensor, wanted[key], rtol=0, atol=2 / 255 / 0.26)
        else:
            assert tensor.tolist() == wanted[key].tolist(), key
            assert tensor.dtype == torch.int64


def test_a_conversation_with_images_gives_the_tensors_of_transformers(
    processor: Glm4vProcessor,
    reference_processor: Callable[[str], Any],
    picture: Callable[..., Image.Image],
) -> None:
    first, second = picture(200, 120), picture(64, 400, seed=1)
    messages = [
        {"role": "user", "content": [
            {"type": "image", "image": first}, {"type": "text", "text": "Where is Save?"}]},
        {"role": "assistant", "content": "Top left."},
        {"role": "user", "content": [
            {"type": "text", "text": "And here?\n"}, {"type": "image", "image": second}]},
    ]  # fmt: skip
    wanted = reference_processor("glm4v").apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True,
        return_tensors="pt", enable_thinking=True,
    )  # fmt: skip
    assert_same_inputs(processor.apply_chat_template(messages), wanted)


@pytest.mark.parametrize("flavour", ["glm4v", "glm46v"])
def test_prompts_with_images_and_videos_give_the_tensors_of_transformers(
    flavour: str,
    processor: Glm4vProcessor,
    reference_processor: Callable[[str], Any],
    picture: Callable[..., Image.Image],
) -> None:
    texts = [f"a{IMAGE_TEXT}b 12", f"{VIDEO_TEXT} 7 of <|video|>5{IMAGE_TEXT}/nothink"]
    images = [picture(90, 60), picture(150, 150, seed=2)]
    rng = np.random.default_rng(0)
    videos = [rng.integers(0, 256, (n, 60, 90, 3), dtype=np.uint8) for n in (23, 9)]
    about = [
        {"total_num_frames": 23, "fps": 5.0, "duration": 4.6},
        {"total_num_frames": 9, "fps": 8.0, "duration": 1.125},
    ]
    wanted = reference_processor(flavour)(
        text=texts, images=images, videos=videos, padding=True, return_tensors="pt",
        video_metadata=about,
    )  # fmt: skip
    subject = as_flavour(processor, flavour)
    assert_same_inputs(subject(texts, images, videos, video_metadata=about), wanted)


@pytest.mark.parametrize(("flavour", "stamp"), [("glm4v", "0"), ("glm46v", "0.0 seconds")])
def test_a_video_becomes_image_tokens_with_timestamps(
    flavour: str, stamp: str, processor: Glm4vProcessor
) -> None:
    frames = np.zeros((2, 84, 84, 3), np.uint8)
    part = {"type": "video", "video": frames, "metadata": {"fps": 2.0}}
    inputs = as_flavour(processor, flavour).apply_chat_template(
        [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}]
    )
    assert inputs["video_grid_thw"].tolist() == [[1, 6, 6]]
    assert processor.decode(inputs["input_ids"][0]) == (
        "[gMASK]<sop><|user|>\n<|begin_of_video|><|begin_of_image|>" + "<|image|>" * 9
        + f"<|end_of_image|>{stamp}<|end_of_video|>?<|assistant|>\n"
    )  # fmt: skip
    assert inputs["mm_token_type_ids"].sum() == 2 * 9


def test_image_tokens_of_images_and_of_videos_are_told_apart(
    processor: Glm4vProcessor, picture: Callable[..., Image.Image]
) -> None:
    frames = np.zeros((2, 84, 84, 3), np.uint8)
    inputs = processor(IMAGE_TEXT + VIDEO_TEXT + IMAGE_TEXT, [picture(84, 84)] * 2, [frames])
    types = inputs["mm_token_type_ids"][0]
    is_image_token = inputs["input_ids"][0] == processor.tokenizer.token_to_id("<|image|>")
    image = [1] * 256  # enlarged to 448 x 448
    assert types[is_image_token].tolist() == image + [2] * 9 + image
    assert not types[~is_image_token].any()


def test_rows_are_padded_on_the_left(processor: Glm4vProcessor) -> None:
    inputs = processor(["a", "<|user|>abc"])
    short, long = inputs["input_ids"].tolist()
    assert short == [processor.tokenizer.pad_token_id] * (len(long) - 1) + short[-1:]
    assert inputs["attention_mask"].tolist() == [[0] * (len(long) - 1) + [1], [1] * len(long)]
    assert set(inputs) == {"input_ids", "attention_mask", "mm_token_type_ids"}


def test_several_conversations_make_one_batch(
    processor: Glm4vProcessor, picture: Callable[..., Image.Image]
) -> None:
    image = {"type": "image", "image": picture(90, 60)}
    short = [{"role": "user", "content": "Hi"}]
    long = [{"role": "user", "content": [image, {"type": "text", "text": "Where?"}]}]
    batch = processor.apply_chat_template([short, long])
    alone = processor.apply_chat_template(long)
    assert batch["input_ids"][1].tolist() == alone["input_ids"][0].tolist()
    is_text = batch["attention_mask"][0].bool()
    unpadded = batch["input_ids"][0][is_text].tolist()
    assert unpadded == processor.apply_chat_template(short)["input_ids"][0].tolist()
    prompts = processor.apply_chat_template([short, long], tokenize=False)
    assert prompts[0] == "[gMASK]<sop><|user|>\nHi<|assistant|>\n"
    assert len(prompts) == 2


def test_an_image_may_be_a_path_under_any_of_the_usual_keys(
    processor: Glm4vProcessor, picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    path = tmp_path / "screen.png"
    picture(90, 60).save(path)
    for part in ({"image": path}, {"path": str(path)}, {"url": str(path)}):
        messages = [{"role": "user", "content": [{"type": "image", **part}]}]
        inputs = processor.apply_chat_template(messages)
        assert inputs["image_grid_thw"].tolist() == [[1, 28, 40]]


def test_the_callers_messages_are_left_as_they_were(processor: Glm4vProcessor) -> None:
    call = {"function": {"name": "f", "arguments": '{"x": 1}'}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "assistant", "content": "<think>t</think>b", "tool_calls": [call]},
    ]
    before = repr(messages)
    processor.apply_chat_template(messages)
    assert repr(messages) == before


def test_tool_arguments_may_be_json_text(processor: Glm4vProcessor) -> None:
    def prompt(arguments: Any) -> str:
        call = {"type": "function", "function": {"name": "f", "arguments": arguments}}
        messages = [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ]
        return processor.apply_chat_template(messages, tokenize=False)

    assert prompt('{"x": [1, "天"]}') == prompt({"x": [1, "天"]})


def test_tool_results_that_are_lists_of_texts_are_joined(processor: Glm4vProcessor) -> None:
    texts = [{"type": "text", "text": t} for t in ("r1", "r2")]
    prompt = processor.apply_chat_template([{"role": "tool", "content": texts}], tokenize=False)
    assert "<tool_response>\nr1r2\n</tool_response>" in prompt


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "conversation is empty"),
        (["hello"], "message 0 is a str"),
        ([{"role": "robot", "content": ""}], "message 0 has role 'robot'; expected one of system"),
        ([{"role": "user", "content": 5}], "message 0 has content of type int"),
        ([{"role": "user", "content": [{"type": "audio"}]}], "type text, image or video"),
        ([{"role": "user", "content": [{"type": "text"}]}], "text part without text"),
        ([{"role": "user", "content": [{"type": "image"}]}], "image part 0 holds no image"),
        ([{"role": "assistant", "tool_calls": ["f"]}], "a tool call of type str"),
        (
            [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{x"}]}],
            "tool arguments that are not JSON",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": "[1]"}]}],
            "a name and a dict of arguments",
        ),
    ],
)
def test_malformed_conversations_are_refused(
    messages: list, message: str, processor: Glm4vProcessor
) -> None:
    with pytest.raises(ValueError, match=message):
        processor.apply_chat_template(messages)


@pytest.mark.parametrize(
    ("text", "count", "message"),
    [
        ("no place", 1, r"0 <\|image\|> placeholder\(s\) but 1 image\(s\) were given"),
        (IMAGE_TEXT * 2, 1, r"2 <\|image\|> placeholder\(s\) but 1 image"),
        (VIDEO_TEXT, 0, r"1 <\|video\|> placeholder\(s\) but 0 video"),
    ],
)
def test_placeholders_and_media_must_match(
    text: str, count: int, message: str, processor: Glm4vProcessor
) -> None:
    images = [np.zeros((28, 28, 3), np.uint8)] * count
    with pytest.raises(ValueError, match=message):
        processor(text, images)


def test_an_address_is_refused_not_fetched(processor: Glm4vProcessor) -> None:
    part = {"type": "image", "url": "https://example.org/cat.png"}
    with pytest.raises(MediaError, match="download the image and attach it"):
        processor.apply_chat_template([{"role": "user", "content": [part]}])


def test_a_hub_id_downloads_the_small_files_only(
    bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def download(name: str, *, allow_patterns: list[str]) -> str:
        asked.update(name=name, patterns=allow_patterns)
        for file in SMALL_FILES:
            if (bundled / file).exists():
                shutil.copy(bundled / file, tmp_path / file)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    processor = Glm4vProcessor.from_pretrained("zai-org/GLM-4.5V")
    assert processor.apply_chat_template([{"role": "user", "content": "Hi"}])
    assert asked["name"] == "zai-org/GLM-4.5V"
    assert not [p for p in asked["patterns"] if "*" in p or "safetensors" in p]


def test_what_is_neither_folder_nor_hub_id_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="neither a folder nor a hub id"):
        find_folder("/no/such/folder")

    def unreachable(name: str, *, allow_patterns: list[str]) -> str:
        raise OSError("offline")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(FileNotFoundError, match="no folder a/b here.*offline.*check the name"):
        find_folder("a/b")


def test_broken_json_is_named(bundled: Path, tmp_path: Path) -> None:
    for file in SMALL_FILES:
        if (bundled / file).exists():
            shutil.copy(bundled / file, tmp_path / file)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(ValueError, match="preprocessor_config.json is not valid JSON"):
        Glm4vProcessor.from_pretrained(tmp_path)
