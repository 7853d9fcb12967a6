"""English and Chinese: every text has both, and everybody is answered in their own."""

from __future__ import annotations

import ast
import json
import re
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.context import LocalContext
from scripted_backend import ScriptedBackend

from model.processing import Limits, MediaError, open_image
from ui import Example, PageSettings, build_ui
from ui.answering import as_sentence
from ui.chat import history, preferences
from ui.language import (
    CHINESE,
    COOKIE,
    ENGLISH,
    MESSAGES,
    TEXTS,
    choose_language,
    in_both,
    mark,
    read_language,
    read_texts,
    say,
    say_message,
    say_number,
)

ROOT = Path(__file__).parents[2]
SAYING = {"say": 0, "say_number": 2, "in_both": 0, "mark": 0}
CHINESE_LETTER = re.compile(r"[\u3400-\u9fff]")
TO_PROGRAMS = {"image", "instruction", "thinking", "look_twice"}
# names, what is written in a language of its own, and on buttons that nobody sees
NOT_WORDS = {"English", "Run", "Sightline", "Top-p", "Top-k", "JSON"}


@pytest.fixture
def asked_in_chinese() -> Iterator[None]:
    request = SimpleNamespace(cookies={}, headers={"accept-language": "zh-CN,en;q=0.8"})
    token = LocalContext.request.set(request)  # type: ignore[arg-type]
    yield
    LocalContext.request.reset(token)


def read_files() -> dict[str, dict[str, str]]:
    return {path.name: json.loads(path.read_text("utf-8")) for path in TEXTS.glob("*.json")}


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def said_in_python() -> Iterator[str]:
    """Yield the literal sentences that the page's code says."""
    for path in (ROOT / "ui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                index = SAYING.get(node.func.id)
                if index is not None and len(node.args) > index:
                    yield from literals(node.args[index])


def literals(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def said_in_javascript() -> Iterator[str]:
    for source in read_programs():
        for pattern in (r'\bsay\(\s*"((?:[^"\\]|\\.)*)"', r'data-(?:text|label|title)="([^"$]+)"'):
            # the list of conversations says its texts by short names
            yield from (history.TEXTS.get(text, text) for text in re.findall(pattern, source))


def read_programs() -> list[str]:
    paths = [*(ROOT / "assets").rglob("*.js"), ROOT / "ui" / "chat" / "arranging.py"]
    return [path.read_text("utf-8") for path in paths]


def all_words() -> str:
    """Return every string of the page's code, one a line."""
    found: list[str] = []
    found.append((ROOT / "assets" / "bundled" / "README.md").read_text("utf-8"))
    for path in (*(ROOT / "ui").rglob("*.py"), *(ROOT / "agent").glob("*.py"), ROOT / "app.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join([*found, *read_programs()])


def test_every_text_is_translated_with_the_same_places() -> None:
    for english, chinese in read_texts().items():
        assert places(english) == places(chinese), english
        assert chinese.strip(), english


def test_no_text_is_translated_twice() -> None:
    count = Counter(english for texts in read_files().values() for english in texts)
    assert [english for english, times in count.items() if times > 1] == []


def test_all_that_the_code_says_has_a_translation() -> None:
    handed_to_programs = [*history.TEXTS.values(), *preferences.TEXTS.values()]
    for field in preferences.FIELDS:
        handed_to_programs += [field.label, field.hint, field.refusal]
    said = {*said_in_python(), *said_in_javascript(), *handed_to_programs} - {"", *NOT_WORDS}
    assert len(said) > 150  # they are found at all
    assert sorted(said - set(read_texts())) == []


def test_no_translation_is_left_of_what_nobody_says() -> None:
    words = all_words()
    texts = [text for name, file in read_files().items() if name != MESSAGES for text in file]
    assert [text for text in texts if text not in words and not is_two_texts(text, words)] == []


def is_two_texts(text: str, words: str) -> bool:
    """Whether it is made of texts that stand in the code one by one."""
    return all(part in words for part in re.split(r"(?<=[.?]) ", text))


@pytest.mark.parametrize("bundled", [True, False])
def test_all_fixed_texts_of_components_are_translated(bundled: bool, tmp_path: Path) -> None:
    file = tmp_path / "screen.png"
    file.write_bytes(b"")
    settings = PageSettings(
        examples=[Example(str(file), "Click on Save", False)],
        agent_by_instruction=bundled,
        browser_origins=("http://127.0.0.1:1",),
        visitor_endpoints=("http://127.0.0.1:2/v1",),
    )
    left = {
        text
        for block in build_ui(ScriptedBackend(), settings).blocks.values()
        if block.get_block_name() != "api"
        for text in fixed_texts(block)
        if re.search("[A-Za-z]{2}", text) and not text.startswith("__i18n__")
    }
    assert left - NOT_WORDS - TO_PROGRAMS - set(read_texts()) == set()


def fixed_texts(block: object) -> Iterator[str]:
    names = ["label", "info", "placeholder"] + ["value"] * isinstance(block, gr.Button)
    for name in names:
        if isinstance(text := getattr(block, name, None), str):
            yield text
    if isinstance(block, gr.Radio | gr.Dropdown) and block.elem_id != "live-viewport":
        yield from (
            str(label) for label, _ in block.choices if not re.match(r"\d+ x|http:", str(label))
        )
    if isinstance(block, gr.Dataset):
        yield from block.headers


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", CHINESE),
        ("zh-Hant-TW", CHINESE),
        ("en-GB,zh;q=0.5", ENGLISH),
        ("fr-FR,zh;q=0.5,en;q=0.3", CHINESE),
        ("fr", ENGLISH),
        ("", ENGLISH),
    ],
)
def test_the_browser_s_language_is_taken(accepted: str, language: str) -> None:
    assert choose_language(accepted) == language


def test_a_choice_counts_more_than_the_browser(asked_in_chinese: None) -> None:
    assert read_language() == CHINESE
    request = LocalContext.request.get()
    assert request is not None
    request.cookies[COOKIE] = ENGLISH
    assert read_language() == ENGLISH
    request.cookies[COOKIE] = "<script>"
    assert read_language() == CHINESE


def test_outside_of_a_request_it_is_english() -> None:
    assert (read_language(), say("Stopped.")) == (ENGLISH, "Stopped.")


def test_numbers_are_said_in_one_or_many() -> None:
    forms = "{number:,} page", "{number:,} pages"
    assert [say_number(n, *forms) for n in (1, 2, 1200)] == ["1 page", "2 pages", "1,200 pages"]


def test_numbers_have_one_form_in_chinese(asked_in_chinese: None) -> None:
    assert [say_number(n, "{number:,} page", "{number:,} pages") for n in (1, 2)] == [
        "1 页",
        "2 页",
    ]


def test_what_is_named_is_not_taken_for_a_place(asked_in_chinese: None) -> None:
    assert "{number}" in say("Remove {name}", name="{number}.png")


def test_both_languages_stand_side_by_side_escaped() -> None:
    html = in_both("Remove {name}", name="<b>")
    assert 'lang="en">Remove &lt;b&gt;<' in html
    assert 'lang="zh-CN">移除 &lt;b&gt;<' in html


def test_what_has_no_translation_is_left_to_be_read() -> None:
    assert mark("No such text") == "No such text"
    assert say_message("No such message") == "No such message"


def test_messages_of_the_parts_below_are_found_by_their_form(
    asked_in_chinese: None, tmp_path: Path
) -> None:
    broken, missing = tmp_path / "broken.png", tmp_path / "gone.png"
    broken.write_bytes(b"\x89PNG and no more")
    for path in (broken, missing):
        with pytest.raises(MediaError) as raised:
            open_image(path, max_pixels=Limits().max_pixels)
        told = as_sentence(raised.value)
        assert CHINESE_LETTER.search(told), told
        assert told.endswith("。")


def test_a_message_may_name_what_is_a_text_itself(asked_in_chinese: None) -> None:
    told = say_message("a.zip cannot be attached: it is a ZIP archive; attach an image or a video")
    assert told == "无法附加 a.zip：它是ZIP 压缩包；请附加图片或视频"
