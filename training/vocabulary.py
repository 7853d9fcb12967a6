"""The tokenizer of a small model: numbers, bytes, and the words of its own tasks.

A byte-level BPE without merges: a piece of text is one token if it is in the vocabulary whole, else
it is spelled in bytes. So 0 .. 999 are the numbers themselves, what all questions have in common is
short, and names are spelled, by which reading a few names becomes reading any.

    python -m training.vocabulary --to FOLDER      write tokenizer.json and its companions
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from grounding.evaluation.options import BUNDLED_FOLDER
from training.screens.rendering import PAGES
from training.screens.screen import ROLES, Element, Screen
from training.screens.theme import COLORS
from training.tasks import names, turn, wording
from training.tasks.listing import KINDS
from training.tasks.names import ALIASES, plural
from training.tasks.thoughts import think_of, think_of_count

NUMBERS = 1000
MULTIPLE = 16  # of the number of tokens: matrix products like it
# how GLM-4.5V's tokenizer splits text into pieces
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# GLM-4.5V's, in its order: those that a decoder may leave out, and those that it may not
SPECIAL = (
    "<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>",
    "<|assistant|>", "<|observation|>", "<|begin_of_image|>", "<|end_of_image|>",
    "<|begin_of_video|>", "<|end_of_video|>", "<|begin_of_audio|>", "<|end_of_audio|>",
    "<|image|>", "<|video|>", "<|begin_of_transcription|>", "<|end_of_transcription|>",
    "<|code_prefix|>", "<|code_middle|>", "<|code_suffix|>", "/nothink", "<|begin_of_box|>",
    "<|end_of_box|>",
)  # fmt: skip
MARKUP = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>",
    "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>",
)  # fmt: skip
# names in config.json -> their tokens
CONFIG_TOKENS = {
    "image_start_token_id": "<|begin_of_image|>",
    "image_end_token_id": "<|end_of_image|>",
    "video_start_token_id": "<|begin_of_video|>",
    "video_end_token_id": "<|end_of_video|>",
    "image_token_id": "<|image|>",
    "video_token_id": "<|video|>",
}
STOP_TOKENS = ("<|endoftext|>", "<|user|>", "<|observation|>")
# stands for a name where texts are filled in; the pieces that hold it are no words of the tasks
_NAME = "Qzx"
_FILLED = (_NAME, f"'{_NAME}'", f'"{_NAME}"', f"“{_NAME}”", "[1,2,3,4]")
# words that people use and no form has
_MORE = (
    "app area bar box by color corner dialog form from menu my name nav next number of one or page "
    "part player please previous screen section show sidebar site tell there these they thing this "
    "toolbar under upper lower website which widget window your"
)
_PLACE = re.compile(r"\{\d?\}")
_COPIED = ("preprocessor_config.json", "video_preprocessor_config.json")


def build_tokenizer(texts: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the content of a tokenizer.json.

    Args:
        texts: whose words become tokens; by default `task_texts`.
    """
    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    vocabulary = {str(number): number for number in range(NUMBERS)}
    pieces = _words(task_texts() if texts is None else texts, splitter)
    for piece in [*sorted(pre_tokenizers.ByteLevel.alphabet()), *pieces]:
        vocabulary.setdefault(piece, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in MARKUP])
    count = tokenizer.get_vocab_size()
    tokenizer.add_special_tokens(
        [
            AddedToken(f"<|reserved_{number}|>", special=True, normalized=False)
            for number in range(count, -(-count // MULTIPLE) * MULTIPLE)
        ]
    )
    raw: dict[str, Any] = json.loads(tokenizer.to_str())
    return raw


def task_texts() -> Iterator[str]:
    """Yield texts with every word of the tasks, names of elements apart."""
    forms = [t for t in (*_strings(wording), *_strings(names)) if t not in wording.QUOTES]
    for form in forms:
        if not _PLACE.search(form):
            yield form
            continue
        yield from (_PLACE.sub(lambda _: filling, form) for filling in _FILLED)  # noqa: B023
    for alias in (alias for aliases in ALIASES.values() for alias in aliases):
        yield from (plural(alias), f"{alias}.")
    for color in COLORS:
        yield from (color, color.capitalize())
    yield from _MORE.split()
    yield from (f"A light {KINDS.get(kind, kind)} screen" for kind in PAGES)
    yield from _answers()


def _answers() -> Iterator[str]:
    """Yield answers and thoughts of every form."""
    screen = Screen(np.zeros((28, 28, 3), np.uint8), (), (), "", "", is_dark=False)
    box = (2.0, 4.0, 6.0, 8.0)
    elements = [Element(role, box, _NAME, color=color) for role in ROLES for color in ("", "red")]
    for element in elements:
        yield think_of(screen, element)
        yield think_of_count(2, element.role)
    for name in (_NAME, f"{_NAME}.", f"{_NAME}?", f"{_NAME}…"):
        yield turn.answer_with_click(screen, elements[0], name)
        yield turn.answer_with_labels(screen, elements[:2], [name, name])
    yield turn.answer_with_boxes(screen, elements[:2])
    yield from (turn.NOT_THERE, turn.CANNOT)


def _strings(module: ModuleType) -> Iterator[str]:
    """Yield all strings of a module's constants."""
    for name in sorted(vars(module)):
        if name.isupper() and name != "COMMON_NAMES":
            yield from _texts_in(vars(module)[name])


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts_in(tuple(value) + tuple(value.values()))
    elif isinstance(value, (tuple, frozenset)):
        for item in sorted(value, key=str):
            yield from _texts_in(item)


def _words(texts: Iterable[str], splitter: Any) -> list[str]:
    """Return the pieces of texts, words also as they stand inside and at the start of a line."""
    markup = re.compile("|".join(map(re.escape, (*SPECIAL, *MARKUP))))
    found: set[str] = set()
    for text in texts:
        for part in markup.split(text):
            # an acronym keeps its capitals
            lower = part[:1].lower() + part[1:] if part[1:2].islower() else part
            for variant in (part, lower, f" {part}", f" {lower}"):
                found.update(piece for piece, _ in splitter.pre_tokenize_str(variant))
    has_name = re.compile(_NAME, re.IGNORECASE)
    return sorted(p for p in found if len(p) > 1 and not p.isdigit() and not has_name.search(p))


def write_tokenizer(folder: Path, source: Path = BUNDLED_FOLDER) -> None:
    """Write a new tokenizer, and all else that a model's folder holds besides the weights.

    Args:
        folder: gets tokenizer.json, tokenizer_config.json and config.json with the new ids, and
            the settings of the processors; made if it does not exist.
        source: a model's folder, whose settings and sizes are taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    raw = build_tokenizer()
    ids = {token["content"]: token["id"] for token in raw["added_tokens"]}
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config |= {name: ids[token] for name, token in CONFIG_TOKENS.items()}
    stop = [ids[token] for token in STOP_TOKENS]
    count = len(raw["model"]["vocab"]) + len(raw["added_tokens"])
    config["text_config"] |= {"vocab_size": count, "eos_token_id": stop, "pad_token_id": stop[0]}
    about = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    for name in _COPIED:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    generation = json.loads((source / "generation_config.json").read_text(encoding="utf-8"))
    generation |= {"eos_token_id": stop, "pad_token_id": stop[0]}
    for name, content in (
        ("tokenizer.json", raw),
        ("tokenizer_config.json", about),
        ("config.json", config),
        ("generation_config.json", generation),
    ):
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Write the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--like", type=Path, default=BUNDLED_FOLDER, help="a model's folder: its sizes"
    )
    options = parser.parse_args()
    write_tokenizer(options.to, options.like)
    print(f"{options.to}: a tokenizer, and a config.json that fits it")


if __name__ == "__main__":
    main()
