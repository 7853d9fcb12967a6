"""The page in English and in Chinese.

English stands in the code; ``ui/texts/*.json`` give for each sentence the Chinese one. Three ways
lead to the person: the fixed texts of components (labels, placeholders, buttons, tabs, choices) are
translated by the browser, once ``mark_texts`` has marked them; what a handler says, it says with
``say``, in the language of whoever asked; fixed HTML says it in both languages, and the style sheet
hides one (``in_both``). Programs of the page have ``sightline.say`` (assets/language/language.js).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from ui.wiring import AT_ONCE

ENGLISH, CHINESE = "en", "zh-CN"
NAMES = {ENGLISH: "English", CHINESE: "中文"}
TEXTS = Path(__file__).parent / "texts"
MESSAGES = "messages.json"  # those of the parts below the page
PROGRAMS = Path(__file__).parents[1] / "assets" / "language"
# The browser keeps a choice in it, and sends it along with all that it asks.
COOKIE = "sightline_language"
_FIXED = ("label", "info", "placeholder")
_PLACE = re.compile(r"\\?\{(\w+)\\?\}")


@cache
def read_texts() -> Mapping[str, str]:
    """Return for each English sentence the Chinese one."""
    texts: dict[str, str] = {}
    for path in sorted(TEXTS.glob("*.json")):
        texts |= json.loads(path.read_text(encoding="utf-8"))
    return MappingProxyType(texts)


def read_language() -> str:
    """Return the language of whoever asked for what is running now.

    Gradio sets the request for each step of a handler, in the thread in which the step runs.
    """
    request = LocalContext.request.get(None)
    if request is None:
        return ENGLISH
    chosen = request.cookies.get(COOKIE)
    if chosen in NAMES:
        return str(chosen)
    return choose_language(request.headers.get("accept-language") or "")


def choose_language(accepted: str) -> str:
    """Return ours that an Accept-Language header names first, or English."""
    for wish in accepted.lower().split(","):
        tag = wish.partition(";")[0].strip().partition("-")[0]
        if tag in ("en", "zh"):
            return CHINESE if tag == "zh" else ENGLISH
    return ENGLISH


def say(sentence: str, **values: object) -> str:
    """Return a sentence in the language of whoever asked, with its named places filled in."""
    if read_language() == CHINESE:
        sentence = read_texts().get(sentence, sentence)
    return sentence.format(**values) if values else sentence


def say_message(message: str) -> str:
    """Return what a part below the page said in English; its form tells which text it is.

    What it names may be a text as well, such as the remedy at the end of many.
    """
    if read_language() == CHINESE:
        texts = read_texts()
        for form, translated in _read_messages():
            if found := form.fullmatch(message):
                named = {name: texts.get(what, what) for name, what in found.groupdict().items()}
                return translated.format(**named)
    return message


@cache
def _read_messages() -> Sequence[tuple[re.Pattern[str], str]]:
    """Return the form of each message, which has places for what it names, and its translation."""
    texts = json.loads((TEXTS / MESSAGES).read_text(encoding="utf-8"))
    # those that say most by themselves first: one that begins with a place fits a lot
    ordered = sorted(texts, key=lambda text: -len(_PLACE.sub("", text)))
    return [
        (re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.escape(text)), re.DOTALL), texts[text])
        for text in ordered
    ]


def say_number(number: int, one: str, many: str, **values: object) -> str:
    """Return a sentence about a number, which is ``{number}`` in it.

    Args:
        one: in English, for the number 1; the texts have ``many`` only.
    """
    is_one = number == 1 and read_language() == ENGLISH
    return say(one if is_one else many, number=number, **values)


def say_size(size: tuple[int, int]) -> str:
    """Return a width and a height, the same in every language."""
    return f"{size[0]} × {size[1]}"


def say_label(label: str) -> str:
    """Return what an item of a file is called, of which "Page 3" is words and a time is not."""
    page, _, number = label.partition(" ")
    return say("Page {number}", number=number) if page == "Page" else label


def in_both(sentence: str, **values: object) -> str:
    """Return HTML of a sentence in both languages, of which the page shows its own."""
    texts = {ENGLISH: sentence, CHINESE: read_texts().get(sentence, sentence)}
    return "".join(
        f'<span class="translated" lang="{language}">{escape(text.format(**values))}</span>'
        for language, text in texts.items()
    )


def translate_blocks(markdown: str) -> str:
    """Return Markdown in Chinese, as far as its paragraphs, tables and lists are texts."""
    return "\n\n".join(read_texts().get(block, block) for block in markdown.split("\n\n"))


def named(label: str, hint: bool = False) -> str:
    """Return attributes by which an element of fixed HTML is called, for screen readers.

    Args:
        hint: whether it is also shown when somebody points at the element.
    """
    name = escape(label)
    title = f' title="{name}" data-title="{name}"' if hint else ""
    return f'aria-label="{name}" data-label="{name}"{title}'


def mark(sentence: str) -> str:
    """Return a fixed text for the browser to translate, wherever a component shows it."""
    return str(gr.I18n()(sentence)) if sentence in read_texts() else sentence


def mark_texts(page: gr.Blocks) -> None:
    """Have the browser translate the fixed texts of all components; call when all are there."""
    for block in page.blocks.values():
        names = (*_FIXED, "value") if isinstance(block, gr.Button) else _FIXED
        for name in names:
            text = getattr(block, name, None)
            if isinstance(text, str):
                setattr(block, name, mark(text))


def make_translations() -> gr.I18n:
    """Return what ``launch`` takes as ``i18n``."""
    return gr.I18n(**{CHINESE: dict(read_texts())})


def make_head() -> str:
    """Return what ``launch`` takes as ``head``: it sets the language before the page is drawn."""
    # the module by which the page sets its language; its name has a hash of its content
    assets = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
    core = next(path.name for path in sorted(assets.glob("core-*.js")))
    known = json.dumps({"cookie": COOKIE, "languages": list(NAMES), "core": f"assets/{core}"})
    program = (PROGRAMS / "language.js").read_text(encoding="utf-8")
    return f"<script>(({{cookie, languages, core}}) => {{\n{program}}})({known});</script>"


def build_language_choice() -> gr.HTML:
    """Return the choice of a language; it raises ``choose`` once another is chosen."""
    buttons = "".join(
        f'<button type="button" lang="{language}" data-language="{language}">{name}</button>'
        for language, name in NAMES.items()
    )
    return gr.HTML(
        f'<div role="group" aria-label="Language, 语言">{buttons}</div>',
        js_on_load=(PROGRAMS / "choice.js").read_text(encoding="utf-8"),
        elem_id="language",
    )


def wire_language(page: gr.Blocks, choice: gr.HTML) -> None:
    """Keep true what Gradio's own translation leaves out: tables' heads, tabs not opened yet."""
    tables = [block for block in page.blocks.values() if isinstance(block, gr.Dataset)]
    heads = [[*table.headers] for table in tables]
    tabs = [block for block in page.blocks.values() if isinstance(block, gr.Tab)]
    labels = [str(tab.label) for tab in tabs]

    def tell() -> dict[Any, Any]:
        told: dict[Any, Any] = {
            tab: gr.Tab(label=mark(text)) for tab, text in zip(tabs, labels, strict=True)
        }
        for table, head in zip(tables, heads, strict=True):
            told[table] = gr.Dataset(headers=[say(text) for text in head])
        return told

    for event in (page.load, choice.choose):
        event(tell, None, [*tabs, *tables], **AT_ONCE)
