"""Attachments: what the model will see, what it costs, and that exactly this is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attachment_files import (
    COLOURS,
    animated_gif,
    image_bytes,
    pdf,
    tiff_pages,
    write_clip,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.processing import (
    Choice,
    Glm4vProcessor,
    Limits,
    MediaError,
    ModelView,
    ProcessingCache,
    check_message,
    mixing_note,
    open_attachment,
)
from model.processing.attached_files import time_label
from model.processing.model_view import estimate_tokens

FILES = {
    "photo.png": image_bytes(size=(1600, 900)),
    "report.pdf": pdf(3),
    "scan.tiff": tiff_pages(2),
    "notes.md": b"# Notes\n\nGr\xc3\xbc\xc3\x9fe <|image|> and ```code```\n",
    "moving.gif": animated_gif(),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    write_clip(folder / "clip.mp4")
    return folder


@pytest.fixture(scope="module")
def view(processor: Glm4vProcessor) -> ModelView:
    return ModelView.of(processor)


def prompt(processor: Glm4vProcessor, content: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    question = {"type": "text", "text": "What is this?"}
    return processor.apply_chat_template([{"role": "user", "content": [*content, question]}])


@pytest.mark.parametrize("name", [*FILES, "clip.mp4"])
def test_the_tokens_are_those_of_the_prompt(
    name: str, folder: Path, processor: Glm4vProcessor, view: ModelView
) -> None:
    attachment = open_attachment(folder / name, view=view)
    with_it = prompt(processor, attachment.content())["input_ids"].shape[1]
    without = prompt(processor, [])["input_ids"].shape[1]
    # two texts that meet may be encoded in one or two tokens less
    assert abs(with_it - without - attachment.tokens) <= 2


@pytest.mark.parametrize("name", ["photo.png", "report.pdf", "scan.tiff", "clip.mp4"])
def test_the_sent_sizes_are_those_of_the_patches(
    name: str, folder: Path, processor: Glm4vProcessor, view: ModelView
) -> None:
    attachment = open_attachment(folder / name, view=view)
    inputs = prompt(processor, attachment.content())
    grids = inputs["video_grid_thw" if attachment.kind == "video" else "image_grid_thw"]
    sizes = {(int(grid[2]) * 14, int(grid[1]) * 14) for grid in grids}
    assert {item.sent_size for item in attachment.items} == sizes


@pytest.mark.parametrize("max_item_tokens", [None, 64, 300])
def test_a_page_costs_no_more_than_its_share(max_item_tokens: int | None, folder: Path) -> None:
    limits = replace(Limits(), max_tokens=2000)
    attachment = open_attachment(
        folder / "report.pdf", Choice(max_item_tokens=max_item_tokens), limits=limits
    )
    assert attachment.tokens <= 2000
    if max_item_tokens:
        assert all(item.tokens <= max_item_tokens + 10 for item in attachment.items)
    else:
        assert attachment.tokens > 1500  # the share is used


def test_pages_are_named_in_the_prompt_and_sent_as_shown(
    folder: Path, processor: Glm4vProcessor
) -> None:
    attachment = open_attachment(folder / "report.pdf", Choice(pages="3, 1", max_item_tokens=50))
    assert [item.label for item in attachment.items] == ["Page 3", "Page 1"]
    content = attachment.content()
    assert [part["text"] for part in content[::2]] == [
        "Page 3 of report.pdf:",
        "Page 1 of report.pdf:",
    ]
    for part, picture, item, colour in zip(
        content[1::2], attachment.pictures(), attachment.items, (COLOURS[2], COLOURS[0]),
        strict=True,
    ):  # fmt: skip
        assert part["image"].tobytes() == picture.tobytes()
        assert part["image"].size == item.sent_size
        assert part["image"].getpixel((9, 9)) == colour
    text = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
    assert "Page 3 of report.pdf:<|begin_of_image|>" in text


def test_the_first_page_is_there_before_the_second_is_drawn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    from model.processing.pdf import PdfFile

    real = PdfFile.render
    monkeypatch.setattr(
        PdfFile,
        "render",
        lambda self, number, size: drawn.append(number) or real(self, number, size),
    )
    pictures = open_attachment(folder / "report.pdf").pictures()
    assert drawn == []
    next(pictures)
    assert drawn == [1]
    pictures.close()


def test_all_pages_up_to_the_limit_are_taken_and_a_note_says_so(folder: Path) -> None:
    few = replace(Limits(), max_pages=2)
    attachment = open_attachment(folder / "report.pdf", limits=few)
    assert [item.label for item in attachment.items] == ["Page 1", "Page 2"]
    assert attachment.page_count == 3
    assert attachment.notes == ("report.pdf has 3 pages; the first 2 are used unless you choose.",)
    with pytest.raises(MediaError, match="^3 pages of report.pdf are chosen, more than the 2"):
        open_attachment(folder / "report.pdf", Choice(pages="1-3"), limits=few)


def test_an_image_is_sent_at_its_own_size_or_smaller_if_asked(folder: Path) -> None:
    whole = open_attachment(folder / "photo.png")
    assert whole.items[0].original_size == whole.content()[0]["image"].size == (1600, 900)
    small = open_attachment(folder / "photo.png", Choice(max_item_tokens=200))
    assert small.items[0].original_size == (1600, 900)
    assert small.items[0].sent_size == small.content()[0]["image"].size
    assert small.tokens <= 202


def test_an_animation_is_its_first_frame_or_a_video(folder: Path) -> None:
    still = open_attachment(folder / "moving.gif")
    assert still.kind == "image"
    assert still.notes == ("Only the first frame of the animation moving.gif is used.",)
    assert next(still.pictures()).getpixel((9, 9)) == COLOURS[0]
    assert still.is_animation
    moving = open_attachment(folder / "moving.gif", Choice(animation_as_video=True))
    assert moving.kind == "video"


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_other_animations_may_be_videos_too(folder: Path, suffix: str) -> None:
    path = folder / f"moving.{suffix}"
    with Image.open(folder / "moving.gif") as gif:
        gif.save(path, save_all=True, lossless=True)
    assert open_attachment(path).is_animation
    moving = open_attachment(path, Choice(animation_as_video=True))
    reference = open_attachment(folder / "moving.gif", Choice(animation_as_video=True))
    assert moving.kind == "video"
    assert [item.label for item in moving.items] == [item.label for item in reference.items]
    for picture, wanted in zip(moving.pictures(), reference.pictures(), strict=True):
        # a GIF has a palette
        assert np.abs(np.asarray(picture, int) - np.asarray(wanted, int)).max() < 12


def test_the_second_picture_of_a_phones_photo_makes_no_animation(tmp_path: Path) -> None:
    photo, gain_map = Image.new("RGB", (80, 60), COLOURS[0]), Image.new("RGB", (40, 30))
    photo.save(tmp_path / "photo.jpg", "MPO", save_all=True, append_images=[gain_map])
    opened = open_attachment(tmp_path / "photo.jpg")
    assert (opened.kind, opened.notes, opened.is_animation) == ("image", (), False)
    assert opened.items[0].original_size == (80, 60)


def test_a_still_image_is_no_video(folder: Path) -> None:
    still = open_attachment(folder / "photo.png", Choice(animation_as_video=True))
    assert (still.kind, still.is_animation) == ("image", False)


@pytest.mark.parametrize("name", ["photo.png", "report.pdf", "moving.gif"])
def test_pictures_made_before_are_the_ones_that_are_sent(folder: Path, name: str) -> None:
    attachment = open_attachment(
        folder / name, Choice(animation_as_video=True), cache=ProcessingCache(max_bytes=0)
    )
    pictures = list(attachment.pictures())
    sent = []
    for part in attachment.content(pictures):
        sent += [part["image"]] if part["type"] == "image" else part.get("video", [])
    assert [id(picture) for picture in sent] == [id(picture) for picture in pictures]


def test_text_is_sent_under_its_name_and_no_token_of_it_is_special(
    folder: Path, processor: Glm4vProcessor
) -> None:
    attachment = open_attachment(folder / "notes.md")
    content = attachment.content()
    assert content[0]["text"].startswith("notes.md:\n````md\n# Notes\n")
    assert (
        processor.tokenizer.token_to_id("<|image|>") not in prompt(processor, content)["input_ids"]
    )
    assert list(attachment.pictures()) == []


@pytest.mark.parametrize("options", [{}, {"fps": 1.0}, {"max_frames": 2}])
def test_the_frames_of_a_clip_are_those_of_the_video_processor(
    options: dict[str, Any], folder: Path, processor: Glm4vProcessor, view: ModelView
) -> None:
    from model.processing import ClipFrames, open_clip

    attachment = open_attachment(folder / "clip.mp4", Choice(**options), view=view)
    clip = open_clip(folder / "clip.mp4")
    frames = processor.video_processor.sample(clip, **options)
    wanted = processor.video_processor([ClipFrames(clip, frames)])
    part = attachment.content()[0]
    got = processor.video_processor([part["video"]], [part["metadata"]])
    assert torch.equal(got["video_grid_thw"], wanted["video_grid_thw"])
    assert torch.equal(got["pixel_values_videos"], wanted["pixel_values_videos"])
    assert got["timestamps"] == wanted["timestamps"]
    assert [item.label for item in attachment.items] == [time_label(f.time_s) for f in frames]


@pytest.mark.parametrize("fps", [1001.0, 1e7, 1e300])
def test_a_rate_that_no_camera_has_is_refused_for_that_file(fps: float, folder: Path) -> None:
    with pytest.raises(
        MediaError, match="frames per second of clip.mp4 are chosen, more than the 1,000 allowed"
    ):
        open_attachment(folder / "clip.mp4", Choice(fps=fps))


@pytest.mark.parametrize(
    "choice", [Choice(max_frames=1), Choice(fps=-1.0), Choice(fps=float("nan"))]
)
def test_a_choice_of_frames_that_takes_nothing_is_a_problem_of_that_file(
    choice: Choice, folder: Path
) -> None:
    with pytest.raises(MediaError, match="^clip.mp4 cannot be used: .*must be"):
        open_attachment(folder / "clip.mp4", choice)


def test_frames_of_a_varying_rate_keep_their_times_to_the_last_digit(
    processor: Glm4vProcessor, tmp_path: Path
) -> None:
    pictures = [Image.new("RGB", (64, 48), (60 * i, 0, 0)) for i in range(4)]
    pictures[0].save(
        tmp_path / "a.gif",
        save_all=True,
        append_images=pictures[1:],
        duration=[330, 670, 110, 1000],
    )
    attachment = open_attachment(tmp_path / "a.gif", Choice(animation_as_video=True))
    part = attachment.content()[0]
    got = processor.video_processor([part["video"]], [part["metadata"]])
    assert got["timestamps"] == [[frame.time_s for frame in attachment.frames[::2]]]
    assert not attachment.clip.timeline.is_constant


@pytest.mark.parametrize(
    ("seconds", "label"),
    [(0, "0:00.0"), (12.5, "0:12.5"), (59.96, "1:00.0"), (3723.5, "1:02:03.5")],
)
def test_times_read_like_those_of_a_player(seconds: float, label: str) -> None:
    assert time_label(seconds) == label


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("photo.png", "model.processing.opening.finish_image"),
        ("report.pdf", "model.processing.pdf.PdfFile.render"),
        ("scan.tiff", "model.processing.document.TiffFile.render"),
        ("clip.mp4", "model.processing.clip.Clip.read"),
    ],
)
def test_the_same_file_in_the_next_turn_is_not_decoded_again(
    name: str, maker: str, folder: Path, processor: Glm4vProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ProcessingCache()
    first = open_attachment(folder / name, cache=cache).content()
    monkeypatch.setattr(maker, lambda *_: pytest.fail("decoded again"))
    second = open_attachment(folder / name, cache=cache).content()
    one, other = prompt(processor, first), prompt(processor, second)
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_other_options_and_other_content_are_made_anew(folder: Path, tmp_path: Path) -> None:
    cache = ProcessingCache()
    wide = open_attachment(folder / "report.pdf", Choice(max_item_tokens=50), cache=cache).content()
    small = open_attachment(
        folder / "report.pdf", Choice(max_item_tokens=20), cache=cache
    ).content()
    assert wide[1]["image"].size != small[1]["image"].size
    (tmp_path / "report.pdf").write_bytes(pdf(1, size=(842, 595)))
    other = open_attachment(
        tmp_path / "report.pdf", Choice(max_item_tokens=50), cache=cache
    ).content()
    assert other[1]["image"].size != wide[1]["image"].size


def test_everything_can_be_mixed_in_one_message(
    folder: Path, processor: Glm4vProcessor, view: ModelView
) -> None:
    attachments = [
        open_attachment(folder / name, Choice(max_item_tokens=40), view=view)
        for name in ("clip.mp4", "photo.png", "report.pdf", "notes.md")
    ]
    parts = [part for attachment in attachments for part in attachment.content()]
    inputs = prompt(processor, parts)
    assert len(inputs["image_grid_thw"]) == 4
    assert len(inputs["video_grid_thw"]) == 1
    assert "not trained on images and videos in one message" in (mixing_note(attachments) or "")
    assert mixing_note(attachments[1:]) is None
    assert mixing_note([attachments[0], attachments[3]]) is None


def test_the_largest_file_of_a_message_is_named(folder: Path) -> None:
    attachments = [open_attachment(folder / name) for name in ("notes.md", "photo.png")]
    total = sum(attachment.tokens for attachment in attachments)
    check_message(attachments, replace(Limits(), max_tokens=total))
    with pytest.raises(MediaError, match=rf"^photo.png takes .* of the {total:,} tokens .* lower"):
        check_message(attachments, replace(Limits(), max_tokens=total - 1))


def test_a_file_that_is_gone_asks_for_it_again(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(FILES["report.pdf"])
    attachment = open_attachment(path)
    path.unlink()
    with pytest.raises(MediaError, match="^report.pdf is no longer here; attach it again"):
        attachment.content()


@given(
    width=st.integers(30, 4000),
    height=st.integers(30, 4000),
    max_tokens=st.sampled_from([1, 16, 64, 491, 2000]),
    pairs=st.integers(1, 300),
)
def test_what_is_resized_here_is_not_resized_again(
    width: int, height: int, max_tokens: int, pairs: int
) -> None:
    view = ModelView()
    sent = view.image_size((width, height), max_tokens)
    assert view.image_size(sent) == sent
    sent = view.frame_size((width, height), 2 * pairs, max_tokens)
    assert view.frame_size(sent, 2 * pairs) == sent


def test_tokens_are_guessed_high_without_a_tokenizer(processor: Glm4vProcessor) -> None:
    english = "The quick brown fox jumps over the lazy dog. " * 20
    assert estimate_tokens(english) >= len(english.split())


def test_limits_must_be_positive() -> None:
    with pytest.raises(ValueError, match="max_pages must be positive, got 0"):
        Limits(max_pages=0)
