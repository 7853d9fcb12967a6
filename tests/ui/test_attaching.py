"""Files in the message box: what the strip says of them, and what of them is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from media_files import make_animation, make_clip, make_image, make_pdf
from PIL import Image
from scripted_backend import END, ScriptedBackend

from model.backends.base import AnswerDelta, BackendError, Finished, SamplingOptions
from model.processing import Choice, Limits, MediaError, opening
from model.processing.attachment import MIXING_NOTE
from model.processing.pdf import PdfFile
from ui.chat import attaching
from ui.chat.attaching import Draft, describe_limits, read_choice
from ui.chat.dialogue import Dialogue
from ui.chat.handlers import Chat, ChatView, Newest, StripView
from ui.chat.http_api import ChatCall
from ui.chat.unnamed import offer
from ui.conversation import pictures_in_question
from ui.settings import PageSettings

pytestmark = pytest.mark.usefixtures("every_piece_is_shown")

SLOW_END = Finished("stop", prompt_tokens=1000, new_tokens=24, first_token_s=2.0, total_s=3.0)


@pytest.fixture
def image(tmp_path: Path) -> str:
    return make_image(tmp_path / "screen.png")


@pytest.fixture
def pdf(tmp_path: Path) -> str:
    return make_pdf(tmp_path / "report.pdf")


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return make_clip(tmp_path / "clip.mp4")


class Tab:
    """The chat tab's fields, and what happens in it."""

    def __init__(self, *script: Any, limits: Limits | None = None) -> None:
        self.backend = ScriptedBackend(script or (END,))
        self.chat = Chat(self.backend, PageSettings(limits=limits or Limits()))
        self.call = ChatCall(self.backend, SamplingOptions(), limits or Limits())
        self.choices: Any = None  # {path: {field of Choice: what was entered}}
        self.drafts: tuple[Draft, ...] = ()
        self.dialogue = Dialogue()
        self.newest = Newest()

    def attach(self, *files: str) -> list[StripView]:
        views = list(self.opening(*files))
        self.drafts = views[-1].drafts
        return views

    def opening(self, *files: str) -> Iterator[StripView]:
        message = {"text": "", "files": list(files)}
        state = (self.drafts, self.dialogue, self.choices, self.newest, self.newest.version)
        return self.chat.attach(message, *state)

    def strip(self, *files: str) -> str:
        return str(self.attach(*files)[-1].strip["html"])

    def send(self, *files: str) -> ChatView:
        message = {"text": "what is it?", "files": list(files)}
        state = (self.drafts, self.dialogue, None)
        view = list(self.chat.send(message, *state, self.choices))[-1]
        self.dialogue = view.dialogue
        return view


def test_an_empty_box_has_no_strip() -> None:
    (view,) = Tab().attach()
    assert view.strip["html"] == ""


def test_an_image_is_shown_with_both_sizes_and_its_tokens(image: str) -> None:
    tab = Tab()
    strip = tab.strip(image)
    assert "200 × 100 → " in strip
    (draft,) = tab.drafts
    assert draft.attached is not None
    assert draft.attached.tokens > 0
    assert f"{draft.attached.tokens:,} tokens attached; the model takes in 8,192" in strip


def test_files_appear_one_after_the_other(image: str, pdf: str) -> None:
    strips = [view.strip["html"] for view in Tab().attach(image, pdf)]
    assert "screen.png</strong> is being opened" in strips[0]
    assert "200 × 100" in strips[1]
    assert "report.pdf</strong> is being opened" in strips[1]
    assert "is being opened" not in strips[-1]


def test_pages_have_numbers_and_frames_have_times(pdf: str, clip: str) -> None:
    strip = Tab().strip(pdf, clip)
    for label in ("Page 1", "Page 2", "Page 3", "0:00", "0:01"):
        assert f"<span>{label}" in strip


def test_fields_appear_where_they_apply(image: str, pdf: str, clip: str, tmp_path: Path) -> None:
    def fields(file: str) -> list[str]:
        return re.findall('data-choice="([a-z_]+)"', Tab().strip(file))

    text = tmp_path / "notes.txt"
    text.write_text("hello")
    assert fields(image) == ["max_item_tokens"]
    assert fields(pdf) == ["pages", "max_item_tokens"]
    assert fields(clip) == ["fps", "max_frames", "max_item_tokens"]
    assert fields(make_animation(tmp_path / "moving.gif")) == [
        "animation_as_video",
        "max_item_tokens",
    ]
    assert fields(str(text)) == []


def test_the_chosen_pages_and_no_others_are_shown_and_sent(pdf: str) -> None:
    tab = Tab()
    tab.attach(pdf)
    tab.choices = {pdf: {"pages": "3, 1"}}
    strip = tab.strip(pdf)
    assert "Page 2" not in strip
    tab.send(pdf)
    images = [part for part in tab.backend.questions[0][0]["content"] if part["type"] == "image"]
    assert len(images) == 2


def test_pages_that_are_not_there_leave_the_knob_to_mend_it(pdf: str) -> None:
    tab = Tab()
    tab.choices = {pdf: {"pages": "9"}}
    strip = tab.strip(pdf)
    assert "report.pdf" in strip
    assert "Not sent" in strip
    assert 'data-choice="pages" value="9"' in strip


def test_the_cap_on_frames_changes_the_strip(clip: str) -> None:
    tab = Tab()
    tab.attach(clip)
    tab.choices = {clip: {"max_frames": "2"}}
    assert tab.strip(clip).count("<li>") == 2


def test_a_rate_that_no_camera_has_leaves_the_knob_to_mend_it(image: str, clip: str) -> None:
    tab = Tab()
    tab.choices = {clip: {"fps": "1e300"}}
    strip = tab.strip(image, clip)
    assert "1e+300 frames per second of clip.mp4 are chosen, more than the 1,000 allowed" in strip
    assert 'data-choice="fps" value="1e+300"' in strip
    assert "200 × 100" in strip


def test_at_most_one_frame_is_one_pair_of_frames(clip: str) -> None:
    tab = Tab()
    tab.choices = {clip: {"max_frames": "1"}}
    strip = tab.strip(clip)
    assert strip.count("<li>") == 2
    assert 'data-choice="max_frames" value="2"' in strip
    assert tab.send(clip).notice == ""


def test_fewer_tokens_of_each_picture_make_it_smaller(clip: str, tmp_path: Path) -> None:
    image = str(tmp_path / "large.png")
    Image.new("RGB", (1200, 900)).save(image)  # the bundled model sees small ones enlarged anyway
    tab = Tab()
    tab.attach(image, clip)
    before = [draft.attached.tokens for draft in tab.drafts if draft.attached]
    tab.choices = {image: {"max_item_tokens": 4}, clip: {"max_item_tokens": "4"}}
    tab.attach(image, clip)
    after = [draft.attached.tokens for draft in tab.drafts if draft.attached]
    assert after[0] < before[0]
    assert after[1] < before[1]


def test_another_choice_of_pages_leaves_other_files_alone(
    image: str, pdf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = Tab()
    tab.attach(image, pdf)
    opened = count_openings(tab, monkeypatch)
    tab.choices = {pdf: {"pages": "1"}}
    tab.attach(image, pdf)
    assert opened == [pdf]
    tab.attach(pdf, image)  # moved
    tab.attach(image)  # removed
    assert opened == [pdf]


def test_each_file_has_choices_of_its_own(pdf: str, tmp_path: Path) -> None:
    other = make_pdf(tmp_path / "other.pdf")
    tab = Tab()
    tab.choices = {pdf: {"pages": "1"}, other: {"pages": "2-3", "fps": "9", "unknown": []}}
    tab.send(pdf, other)
    items = [[item.label for item in a.items] for a in tab.dialogue.path[-1].attachments]
    assert items == [["Page 1"], ["Page 2", "Page 3"]]


@pytest.mark.parametrize(
    "entered",
    [None, 7, [], {"pages": 3, "fps": "x", "max_frames": -1, "max_item_tokens": [1]},
     {"fps": 10**400},
     {"pages": " ", "fps": "nan", "max_frames": "1e999", "animation_as_video": "yes"}],
)  # fmt: skip
def test_nonsense_in_the_fields_is_no_choice(entered: Any) -> None:
    assert read_choice(entered) == Choice()


def test_the_order_of_the_files_is_the_order_in_the_prompt(image: str, pdf: str) -> None:
    tab = Tab()
    tab.attach(image, pdf)
    tab.attach(pdf, image)
    tab.send(pdf, image)
    sizes = [part["image"].size for part in tab.backend.questions[0][0]["content"]
             if part["type"] == "image"]  # fmt: skip
    assert len(sizes) == 4
    assert sizes[-1] == (200, 100)


def test_each_file_can_be_moved_and_removed_by_name(image: str, pdf: str) -> None:
    strip = Tab().strip(image, pdf)
    assert re.findall('aria-label="(Move[^"]*|Remove[^"]*)" title="[^"]*"( disabled)?', strip) == [
        ("Move screen.png earlier", " disabled"),
        ("Move screen.png later", ""),
        ("Remove screen.png", ""),
        ("Move report.pdf earlier", ""),
        ("Move report.pdf later", " disabled"),
        ("Remove report.pdf", ""),
    ]
    assert "Move" not in Tab().strip(image)


def test_the_eleventh_file_is_named_and_taken_once_another_is_removed(tmp_path: Path) -> None:
    files = [make_image(tmp_path / f"{index}.png") for index in range(11)]
    tab = Tab()
    strip = tab.strip(*files)
    assert "10.png: a message takes up to 10 files" in strip
    assert 'aria-label="Remove 10.png"' in strip
    assert "Not sent" not in tab.strip(*files[1:])
    tab.send(*files[1:])
    assert len(tab.backend.questions) == 1


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_an_animation_becomes_a_video_when_asked(tmp_path: Path, suffix: str) -> None:
    moving = make_animation(tmp_path / f"moving.{suffix}")
    tab = Tab()
    assert "Only the first frame" in tab.strip(moving)
    tab.choices = {moving: {"animation_as_video": True, "max_frames": "2"}}
    strip = tab.strip(moving)
    assert strip.count("<li>") == 2
    assert "checked" in strip
    tab.send(moving)
    assert [part["type"] for part in tab.backend.questions[0][0]["content"]][0] == "video"


def test_pages_are_shown_as_they_are_made(pdf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attaching, "MIN_INTERVAL_S", 0.0)
    views = Tab().attach(pdf)
    assert [view.strip["html"].count("<li>") for view in views] == [0, 1, 2, 3]
    assert "3 pages" in views[1].strip["html"]
    assert "until now" in views[1].strip["html"]
    assert "until now" not in views[-1].strip["html"]
    assert [len(view.drafts) for view in views] == [0, 0, 0, 1]


def test_pages_that_come_fast_are_shown_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attaching, "MIN_INTERVAL_S", 1000.0)
    views = Tab().attach(make_pdf(tmp_path / "long.pdf", pages=12))
    assert [view.strip["html"].count("<li>") for view in views] == [0, 1, 12]


def test_a_document_that_is_half_opened_is_sent_whole(
    pdf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attaching, "MIN_INTERVAL_S", 0.0)
    tab = Tab()
    views = tab.opening(pdf)
    next(views)
    tab.drafts = next(views).drafts
    tab.send(pdf)
    content = tab.backend.questions[0][0]["content"]
    assert [part["type"] for part in content].count("image") == 3


def test_opening_ends_when_it_is_out_of_date(
    image: str, pdf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attaching, "MIN_INTERVAL_S", 0.0)
    tab = Tab()
    opened = count_openings(tab, monkeypatch)
    views = tab.opening(pdf, image)
    next(views), next(views)
    tab.chat.note_version(tab.newest, 7)
    tab.chat.note_version(tab.newest, 6)
    assert list(views) == []
    assert opened == [pdf]
    assert len(tab.attach(pdf, image)[-1].drafts) == 2


def test_a_damaged_image_has_no_fields_that_could_not_mend_it(tmp_path: Path) -> None:
    file = tmp_path / "broken.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    strip = Tab().strip(str(file))
    assert "broken.png" in strip
    assert "data-choice" not in strip


def test_a_page_that_turns_out_damaged_refuses_the_file(
    pdf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(self: PdfFile, number: int, size: tuple[int, int]) -> Image.Image:
        if number == 2:
            raise MediaError("page 2 of report.pdf is damaged")
        return Image.new("RGB", size)

    monkeypatch.setattr(PdfFile, "render", damaged)
    tab = Tab()
    strip = tab.strip(pdf)
    assert "page 2 of report.pdf is damaged" in strip
    assert "<li>" not in strip
    assert "damaged" in tab.send(pdf).notice


def test_files_that_the_browser_kept_back_are_named() -> None:
    tab = Tab(limits=Limits(max_bytes=3 * 1024 * 1024))
    event = gr.EventData(None, {"files": [{"name": "<i>big.mp4", "size": 9 * 1024 * 1024}]})
    notice = tab.chat.refuse(event)
    assert notice.startswith("\\<i>big.mp4 has 9 MB, more than the 3 MB allowed")


def count_openings(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    opened: list[str] = []
    real = tab.backend.open_attachment

    def watched(path: str, *choice: Any, **more: Any) -> Any:
        opened.append(path)
        return real(path, *choice, **more)

    monkeypatch.setattr(tab.backend, "open_attachment", watched)
    return opened


def test_what_was_shown_is_what_is_sent(
    image: str, pdf: str, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = Tab()
    tab.attach(image, pdf, clip)
    opened = count_openings(tab, monkeypatch)
    tab.send(image, pdf, clip)
    assert opened == []
    attached = [draft.attached for draft in tab.drafts if draft.attached]
    shown = [p for a in attached if a.kind != "video" for p in a.pictures]
    content = tab.backend.questions[0][0]["content"]
    sent = [part["image"] for part in content if part["type"] == "image"]
    assert [id(picture.image) for picture in shown] == [id(picture) for picture in sent]
    for picture in shown:
        assert Image.open(picture.png).tobytes() == picture.image.tobytes()
    assert [part["type"] for part in content].count("video") == 1


def test_a_message_sent_before_the_strip_was_ready_is_complete(image: str, pdf: str) -> None:
    tab = Tab()
    tab.send(image, pdf)
    content = tab.backend.questions[0][0]["content"]
    assert [part["type"] for part in content].count("image") == 4


def test_a_removed_file_is_not_sent(image: str, pdf: str) -> None:
    tab = Tab()
    tab.attach(image, pdf)
    strip = tab.strip(image)
    assert "report.pdf" not in strip
    tab.send(image)
    content = tab.backend.questions[0][0]["content"]
    assert [part["type"] for part in content].count("image") == 1


def test_a_refused_file_is_named_and_the_others_stay(image: str, tmp_path: Path) -> None:
    broken = tmp_path / "<i>broken.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing more")
    tab = Tab()
    strip = tab.strip(image, str(broken))
    assert "&lt;i&gt;broken.pdf" in strip
    assert "<i>" not in strip
    assert "200 × 100" in strip
    view = tab.send(image, str(broken))
    assert "broken.pdf" in view.notice
    assert view.notice.endswith("Nothing was sent. Send again to ask about the rest.")
    assert view.prompt == {"text": "what is it?", "files": [image]}
    assert tab.backend.questions == []


@pytest.mark.parametrize("where", ["open_attachment", "identify"])
def test_a_file_that_breaks_its_reader_is_named_and_the_others_stay(
    where: str,
    image: str,
    pdf: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(real: Any) -> Any:
        def read(path: Any, *rest: Any, **more: Any) -> Any:
            if str(path) == pdf:
                raise AssertionError("nobody thought of this")
            return real(path, *rest, **more)

        return read

    tab = Tab()
    owner = tab.backend if where == "open_attachment" else attaching
    monkeypatch.setattr(owner, where, fails(getattr(owner, where)))
    if where == "identify":
        monkeypatch.setattr(opening, where, fails(opening.identify))
    strip = tab.strip(image, pdf)
    assert "report.pdf: Something went wrong." in strip
    assert "200 × 100" in strip
    view = tab.send(image, pdf)
    assert "report.pdf" in view.notice
    assert view.prompt == {"text": "what is it?", "files": [image]}
    assert "nobody thought of this" in caplog.text


def test_a_file_that_another_choice_would_mend_stays_in_the_message(tmp_path: Path) -> None:
    pdf = make_pdf(tmp_path / "a.pdf")
    tab = Tab()
    choices = {pdf: {"pages": "99"}}
    *_, view = tab.chat.send({"text": "what is it?", "files": [pdf]}, (), Dialogue(), None, choices)
    assert view.notice == "a.pdf has pages 1 to 3, so there is no page 99; choose again."
    assert view.prompt == {"text": "what is it?", "files": [pdf]}
    assert tab.backend.questions == []


def test_a_file_beyond_the_operators_limit_is_refused(image: str) -> None:
    strip = Tab(limits=Limits(max_bytes=10)).strip(image)
    assert "screen.png" in strip
    assert "Not sent" in strip


def test_a_backend_that_is_not_ready_says_so_and_the_files_stay(
    image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loading(path: str, *choice: Any, **more: Any) -> Any:
        raise BackendError("loading the weights. Try again in a moment.")

    tab = Tab()
    monkeypatch.setattr(tab.backend, "open_attachment", loading)
    assert "Loading the weights. Try again" in tab.strip(image)
    view = tab.send(image)
    assert view.notice == "Loading the weights. Try again in a moment."
    assert view.prompt == {"text": "what is it?", "files": [image]}


def test_the_conversation_so_far_counts_and_gives_the_time(image: str) -> None:
    tab = Tab(AnswerDelta("yes"), SLOW_END)
    first = tab.strip(image)
    assert "so far" not in first
    assert "begins after" not in first
    tab.send(image)
    (draft,) = tab.drafts
    assert draft.attached is not None
    total = draft.attached.tokens + 1024
    second = tab.strip(image)
    assert f"about {total:,} with the conversation so far" in second
    assert f"begins after about {round(2.0 * total / 1000)} s" in second


def test_no_time_is_guessed_from_a_much_shorter_prompt(pdf: str) -> None:
    tab = Tab(AnswerDelta("yes"), END)  # 9 tokens
    tab.send()
    assert "begins after" not in tab.strip(pdf)


def test_too_much_for_the_context_is_said_before_sending(image: str) -> None:
    tab = Tab()
    tab.backend.context_length = 10
    assert "more than the model can take in" in tab.strip(image)


def test_the_mix_of_images_and_videos_is_noted_once(image: str, pdf: str, clip: str) -> None:
    assert Tab().strip(image, pdf, clip).count(MIXING_NOTE) == 1
    assert MIXING_NOTE not in Tab().strip(image, pdf)
    assert MIXING_NOTE not in Tab().strip(clip)


def test_a_box_is_drawn_on_the_page_that_the_answer_names(image: str, pdf: str) -> None:
    tab = Tab(AnswerDelta("On image 3: <|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"), END)
    view = tab.send(image, pdf)
    turn = tab.dialogue.path[-1]
    assert [bool(file) for file in turn.shown.drawings] == [False, False, True, False]
    page = turn.pictures[2].image
    drawn = Image.open(turn.shown.drawings[2])
    assert drawn.size == page.size
    assert drawn.width > drawn.height  # the only page that is wider than high
    assert "report.pdf, page 2" in str(view.log)


@pytest.mark.parametrize(
    ("answer", "found", "notes"),
    [
        ("In image 1 it is at", "first.png", "The answer names image 1; taken as first.png, of an"),
        ("In image 2 it is at", "second.png", ""),
        ("It is at", "second.png", ""),
        ("In image 7 it is at", "second.png", ""),  # of a page that shows many
    ],
)
def test_a_box_is_drawn_on_the_picture_of_an_earlier_message_that_the_answer_names(
    answer: str, found: str, notes: str, tmp_path: Path
) -> None:
    first = make_image(tmp_path / "first.png", (60, 40))
    second = make_image(tmp_path / "second.png", (200, 100))
    tab = Tab(AnswerDelta(f"{answer} <|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"), END)
    tab.send(first)
    view = tab.send(second)
    turn = tab.dialogue.path[-1]
    pictures = pictures_in_question(tab.dialogue.path)
    (target,) = turn.targets
    assert pictures[target.image_index].name == found
    assert [bool(file) for file in turn.shown.drawings] == [p.name == found for p in pictures]
    assert " ".join(turn.notes).startswith(notes)
    assert bool(turn.notes) == bool(notes)
    assert f"{found}: 1 target" in str(view.log)
    assert not offer(tab.dialogue).visible


def test_an_unnamed_box_is_on_the_picture_that_the_question_names(tmp_path: Path) -> None:
    tab = Tab(AnswerDelta("<|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"), END)
    files = [make_image(tmp_path / name, (60, 40)) for name in ("first.png", "second.png")]
    tab.attach(*files)
    message = {"text": "Where is it in image 2?", "files": files}
    view = list(tab.chat.send(message, tab.drafts, tab.dialogue, None, None))[-1]
    turn = view.dialogue.path[-1]
    assert [target.image_index for target in turn.targets] == [1]
    assert turn.notes == ()
    assert offer(view.dialogue).value == 1


def test_an_answer_about_a_video_is_not_drawn_on_an_earlier_image(image: str, clip: str) -> None:
    tab = Tab(AnswerDelta("<|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"), END)
    tab.send(image)
    tab.send(clip)
    turn = tab.dialogue.path[-1]
    assert {picture.place.kind for picture in turn.pictures} == {"frame"}
    assert [target.image_index for target in turn.targets] == [0]


def test_a_box_is_drawn_on_the_frame_of_the_time_that_the_answer_names(clip: str) -> None:
    tab = Tab(AnswerDelta("At 0:01 <|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"), END)
    tab.send(clip)
    turn = tab.dialogue.path[-1]
    (target,) = turn.targets
    assert turn.pictures[target.image_index].place.time_s == 1.0
    assert [i for i, file in enumerate(turn.shown.drawings) if file] == [target.image_index]


def test_the_log_says_what_was_sent(pdf: str, clip: str) -> None:
    tab = Tab()
    tab.choices = {pdf: {"pages": "2-3"}}
    log = tab.send(pdf, clip).log
    texts = [block.get("text") for message in log for block in message["content"]]
    assert "report.pdf: pages 2, 3" in texts
    assert "clip.mp4: 4 frames, 0:00.0 to 0:01.5" in texts


def test_a_text_file_is_sent_as_text(tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("The password is on page 7.")
    tab = Tab()
    assert "notes.md" in tab.strip(str(notes))
    tab.send(str(notes))
    content = tab.backend.questions[0][0]["content"]
    assert any("on page 7" in part.get("text", "") for part in content)


def test_two_visitors_share_no_files(image: str, pdf: str) -> None:
    mine, yours = Tab(), Tab()
    yours.chat = mine.chat
    mine.attach(pdf)
    assert "report.pdf" not in yours.strip(image)


def test_files_that_take_too_many_tokens_together_are_named_before_sending(
    image: str, pdf: str, tmp_path: Path
) -> None:
    tab = Tab(limits=Limits(max_tokens=1200))
    other = make_pdf(tmp_path / "other.pdf", pages=1)
    problem = "tokens of this message, more than the 1,200 allowed; choose fewer pages"
    assert problem not in tab.strip(image, other)
    assert problem in tab.strip(image, pdf, other)
    view = tab.send(image, pdf, other)
    assert problem in view.notice
    assert view.prompt == {"text": "what is it?", "files": [image, pdf, other]}
    assert tab.backend.questions == []


def test_all_limits_are_said() -> None:
    line = describe_limits(Limits(1024 * 1024, 7_000_000, 8, 9, 180.0, 1000))
    for limit in ("1 MB", "7 megapixels", "8 pages", "9 frames", "3 minutes", "1,000 tokens"):
        assert limit in line


def test_over_http_an_animation_may_be_a_video(tmp_path: Path) -> None:
    message = {"text": "?", "files": [make_animation(tmp_path / "moving.png")]}
    tab = Tab()
    kinds = [
        list(tab.call.call(message, None, False, animation_as_video=switch))[-1]["attachments"][0]
        for switch in (False, True)
    ]
    assert [attached["kind"] for attached in kinds] == ["image", "video"]


def test_over_http_the_same_files_and_choices_are_taken(image: str, pdf: str, clip: str) -> None:
    tab = Tab(AnswerDelta("On image 2: [[100,200,300,400]]"), END)
    message = {"text": "?", "files": [image, pdf, clip]}
    reply = list(tab.call.call(message, None, False, pages="2", max_frames=2))[-1]
    assert [(a["name"], a["kind"]) for a in reply["attachments"]] == [
        ("screen.png", "image"),
        ("report.pdf", "document"),
        ("clip.mp4", "video"),
    ]
    assert reply["attachments"][1]["items"] == ["Page 2"]
    assert len(reply["attachments"][2]["items"]) == 2
    names = ["screen.png", "report.pdf, page 2", "clip.mp4, 0:00.0", "clip.mp4, 0:01.9"]
    assert reply["image_names"] == names
    assert reply["boxes"][0]["image"] == 1
    assert MIXING_NOTE in reply["notes"]
