"""Files in the message box: what the strip says of them, and what of them is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from media_files import make_clip, make_image, make_pdf
from PIL import Image
from scripted_backend import END, ScriptedBackend

from model.backends.base import AnswerDelta, BackendError, Finished, SamplingOptions
from model.processing import Limits
from model.processing.attachment import MIXING_NOTE
from ui import answering
from ui.attaching import Draft
from ui.chat import Chat, ChatView, StripView

SLOW_END = Finished("stop", prompt_tokens=1000, new_tokens=24, first_token_s=2.0, total_s=3.0)


@pytest.fixture(autouse=True)
def every_piece_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(answering, "MIN_INTERVAL_S", 0.0)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))


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
        self.chat = Chat(self.backend, SamplingOptions(), limits or Limits())
        self.knobs: tuple[Any, ...] = ("", None, None, None)
        self.drafts: tuple[Draft, ...] = ()
        self.conversation: Any = ()

    def attach(self, *files: str) -> list[StripView]:
        message = {"text": "", "files": list(files)}
        views = list(self.chat.attach(message, self.drafts, self.conversation, *self.knobs))
        self.drafts = views[-1].drafts
        return views

    def send(self, *files: str) -> ChatView:
        message = {"text": "what is it?", "files": list(files)}
        state = (self.drafts, self.conversation, False)
        view = list(self.chat.send(message, *state, *self.knobs))[-1]
        self.conversation = view.conversation
        return view


def test_an_empty_box_has_no_strip() -> None:
    (view,) = Tab().attach()
    assert view.strip == ""


def test_an_image_is_shown_with_both_sizes_and_its_tokens(image: str) -> None:
    tab = Tab()
    strip = tab.attach(image)[-1].strip
    assert "200×100 → " in strip
    (draft,) = tab.drafts
    assert draft.attached is not None
    assert draft.attached.tokens > 0
    assert f"{draft.attached.tokens:,} tokens attached; the model takes in 8,192" in strip


def test_files_appear_one_after_the_other(image: str, pdf: str) -> None:
    strips = [view.strip for view in Tab().attach(image, pdf)]
    assert "screen.png</strong> is being opened" in strips[0]
    assert "200×100" in strips[1]
    assert "report.pdf</strong> is being opened" in strips[1]
    assert "is being opened" not in strips[2]


def test_pages_have_numbers_and_frames_have_times(pdf: str, clip: str) -> None:
    strip = Tab().attach(pdf, clip)[-1].strip
    for label in ("Page 1", "Page 2", "Page 3", "0:00", "0:01"):
        assert f"<span>{label}" in strip


def test_knobs_appear_where_they_apply(image: str, pdf: str, clip: str) -> None:
    def visible(*files: str) -> list[bool]:
        return [knob["visible"] for knob in Tab().attach(*files)[-1][2:]]

    assert visible(image) == [False, False, False, True]
    assert visible(pdf) == [True, False, False, True]
    assert visible(clip) == [False, True, True, True]
    assert visible(image, pdf, clip) == [True, True, True, True]


def test_the_chosen_pages_and_no_others_are_shown_and_sent(pdf: str) -> None:
    tab = Tab()
    tab.attach(pdf)
    tab.knobs = ("3, 1", None, None, None)
    strip = tab.attach(pdf)[-1].strip
    assert "Page 2" not in strip
    tab.send(pdf)
    images = [part for part in tab.backend.questions[0][0]["content"] if part["type"] == "image"]
    assert len(images) == 2


def test_pages_that_are_not_there_leave_the_knob_to_mend_it(pdf: str) -> None:
    tab = Tab()
    tab.knobs = ("9", None, None, None)
    view = tab.attach(pdf)[-1]
    assert "report.pdf" in view.strip
    assert "Not sent" in view.strip
    assert view.pages["visible"]


def test_the_cap_on_frames_changes_the_strip(clip: str) -> None:
    tab = Tab()
    tab.attach(clip)
    tab.knobs = ("", None, 2, None)
    assert tab.attach(clip)[-1].strip.count("<li>") == 2


def test_fewer_tokens_of_each_picture_make_it_smaller(image: str, clip: str) -> None:
    tab = Tab()
    tab.attach(image, clip)
    before = [draft.attached.tokens for draft in tab.drafts if draft.attached]
    tab.knobs = ("", None, None, 4)
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
    tab.knobs = ("1", None, None, None)
    tab.attach(image, pdf)
    assert opened == [pdf]


def count_openings(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    opened: list[str] = []
    real = tab.backend.open_attachment

    def watched(path: str, **more: Any) -> Any:
        opened.append(path)
        return real(path, **more)

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
    shown = [p for draft in tab.drafts if draft.attached for p in draft.attached.pictures]
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
    strip = tab.attach(image)[-1].strip
    assert "report.pdf" not in strip
    tab.send(image)
    content = tab.backend.questions[0][0]["content"]
    assert [part["type"] for part in content].count("image") == 1


def test_a_refused_file_is_named_and_the_others_stay(image: str, tmp_path: Path) -> None:
    broken = tmp_path / "<i>broken.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing more")
    tab = Tab()
    strip = tab.attach(image, str(broken))[-1].strip
    assert "&lt;i&gt;broken.pdf" in strip
    assert "<i>" not in strip
    assert "200×100" in strip
    view = tab.send(image, str(broken))
    assert "broken.pdf" in view.notice
    assert view.prompt == {"text": "what is it?", "files": [image]}
    assert tab.backend.questions == []


def test_a_file_beyond_the_operators_limit_is_refused(image: str) -> None:
    strip = Tab(limits=Limits(max_bytes=10)).attach(image)[-1].strip
    assert "screen.png" in strip
    assert "Not sent" in strip


def test_a_backend_that_is_not_ready_says_so_and_the_files_stay(
    image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loading(path: str, **more: Any) -> Any:
        raise BackendError("loading the weights. Try again in a moment.")

    tab = Tab()
    monkeypatch.setattr(tab.backend, "open_attachment", loading)
    assert "Loading the weights. Try again" in tab.attach(image)[-1].strip
    view = tab.send(image)
    assert view.notice == "Loading the weights. Try again in a moment."
    assert view.prompt == {"text": "what is it?", "files": [image]}


def test_the_conversation_so_far_counts_and_gives_the_time(image: str) -> None:
    tab = Tab(AnswerDelta("yes"), SLOW_END)
    first = tab.attach(image)[-1].strip
    assert "so far" not in first
    assert "begins after" not in first
    tab.send(image)
    (draft,) = tab.drafts
    assert draft.attached is not None
    total = draft.attached.tokens + 1024
    second = tab.attach(image)[-1].strip
    assert f"about {total:,} with the conversation so far" in second
    assert f"begins after about {round(2.0 * total / 1000)} s" in second


def test_no_time_is_guessed_from_a_much_shorter_prompt(pdf: str) -> None:
    tab = Tab(AnswerDelta("yes"), END)  # 9 tokens
    tab.send()
    assert "begins after" not in tab.attach(pdf)[-1].strip


def test_too_much_for_the_context_is_said_before_sending(image: str) -> None:
    tab = Tab()
    tab.backend.context_length = 10
    assert "more than the model can take in" in tab.attach(image)[-1].strip


def test_the_mix_of_images_and_videos_is_noted_once(image: str, pdf: str, clip: str) -> None:
    assert Tab().attach(image, pdf, clip)[-1].strip.count(MIXING_NOTE) == 1
    assert MIXING_NOTE not in Tab().attach(image, pdf)[-1].strip
    assert MIXING_NOTE not in Tab().attach(clip)[-1].strip


def test_a_box_is_drawn_on_the_page_that_the_answer_names(image: str, pdf: str) -> None:
    tab = Tab(AnswerDelta("On image 3: <|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"), END)
    view = tab.send(image, pdf)
    (overlay,) = tab.conversation[-1].overlays
    assert overlay.caption == "report.pdf, page 2"
    page = tab.conversation[-1].pictures[2].image
    drawn = Image.open(overlay.png)
    assert drawn.size == page.size
    assert drawn.width > drawn.height  # the only page that is wider than high
    assert "report.pdf, page 2" in str(view.log)


def test_an_answer_about_a_video_is_not_drawn_on_an_earlier_image(image: str, clip: str) -> None:
    tab = Tab(AnswerDelta("<|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"), END)
    tab.send(image)
    tab.send(clip)
    assert tab.conversation[-1].overlays == ()


def test_the_log_says_what_was_sent(pdf: str, clip: str) -> None:
    tab = Tab()
    tab.knobs = ("2-3", None, None, None)
    log = tab.send(pdf, clip).log
    texts = [block.get("text") for message in log for block in message["content"]]
    assert "report.pdf: pages 2, 3" in texts
    assert "clip.mp4: 4 frames, 0:00.0 to 0:01.5" in texts


def test_a_text_file_is_sent_as_text(tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("The password is on page 7.")
    tab = Tab()
    assert "notes.md" in tab.attach(str(notes))[-1].strip
    tab.send(str(notes))
    content = tab.backend.questions[0][0]["content"]
    assert any("on page 7" in part.get("text", "") for part in content)


def test_two_visitors_share_no_files(image: str, pdf: str) -> None:
    mine, yours = Tab(), Tab()
    yours.chat = mine.chat
    mine.attach(pdf)
    assert "report.pdf" not in yours.attach(image)[-1].strip


def test_over_http_the_same_files_and_choices_are_taken(image: str, pdf: str, clip: str) -> None:
    tab = Tab(AnswerDelta("On image 2: [[100,200,300,400]]"), END)
    message = {"text": "?", "files": [image, pdf, clip]}
    reply = list(tab.chat.call(message, None, False, pages="2", max_frames=2))[-1]
    assert [(a["name"], a["kind"]) for a in reply["attachments"]] == [
        ("screen.png", "image"),
        ("report.pdf", "document"),
        ("clip.mp4", "video"),
    ]
    assert reply["attachments"][1]["items"] == ["Page 2"]
    assert len(reply["attachments"][2]["items"]) == 2
    assert reply["image_names"] == ["screen.png", "report.pdf, page 2"]
    assert reply["boxes"][0]["image"] == 1
    assert MIXING_NOTE in reply["notes"]
