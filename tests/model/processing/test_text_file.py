"""Text files: their encodings, their fences, and what is not text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model.processing import Limits, MediaError
from model.processing.text_file import fenced, guess_encoding, read_text

TEXT = "Grüße, 10 €\nund mehr\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_text_reads_alike_in_every_encoding(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT.encode(encoding))
    assert read_text(tmp_path / "a.txt", "a.txt", Limits()) == TEXT


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings_become_one(ending: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(f"a,b{ending}1,2{ending}".encode())
    assert read_text(tmp_path / "a.csv", "a.csv", Limits()) == "a,b\n1,2\n"


@pytest.mark.parametrize("cut", range(1, 4))
def test_an_excerpt_may_end_inside_a_character(cut: int) -> None:
    data = "ab\N{GRINNING FACE}".encode()
    assert guess_encoding(data[:-cut], is_excerpt=True) == "utf-8"
    assert guess_encoding(data[:-cut]) != "utf-8"


@pytest.mark.parametrize("data", [b"\0\1\2\3", b"ab\0cd", b"\xff\xfe\0", b"\x7fELF\2\1\1"])
def test_binary_data_is_in_no_encoding(data: bytes) -> None:
    assert guess_encoding(data) is None


def test_a_file_that_turns_binary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello\n" * 200 + b"\0\1")
    with pytest.raises(MediaError, match="^a.txt begins as text but holds other data too"):
        read_text(tmp_path / "a.txt", "a.txt", Limits())


def test_a_long_text_is_refused_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"x" * 5000)
    with pytest.raises(MediaError, match="^a.log has 5,000 bytes of text, more than the 4,000"):
        read_text(tmp_path / "a.log", "a.log", replace(Limits(), max_text_bytes=4000))


def test_a_text_cannot_close_its_fence() -> None:
    assert fenced("a\n```\nb", "n.md") == "n.md:\n````md\na\n```\nb\n````\n"


def test_the_fence_names_the_language() -> None:
    assert fenced("x = 1\n", "a b.py") == "a b.py:\n```py\nx = 1\n```\n"
