"""Code is found where the browser finds it, at every step of a growing answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.rendering.fences import split_blocks
from ui.rendering.markdown import MARK, to_markdown
from ui.rendering.preview import fence_bare_page, find_pages, to_preview_html
from ui.rendering.tables import split_tables


def codes(text: str) -> list[str]:
    return [block.code for block in split_blocks(text) if block.info is not None]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```\na\n```\nb", ["a\n"]),
        ("  ```\n  a\n  ```", ["a\n"]),
        ("1. x\n   ```\n   a\n   ```\n2. y", ["a\n"]),
        ("1. x\n    ```\n    a\n    ```", ["a\n"]),
        ("- a\n  - b\n    ```\n    c\n    ```", ["c\n"]),
        ("- ```\n  a\n  ```", ["a\n"]),
        ("> ```\n> a\n> ```\nb", ["a\n"]),
        ("    ```\n    a\n", []),  # a paragraph's, or code without fences
        ("- x\n\nover\n\n      ```\n", []),
        ("1. ```\n   a\nover ```", ["a\n"]),  # its item is over, and so is the code
        ("~~~\n```\n~~~", ["```\n"]),
        ("```\nnever closed", ["never closed"]),
        ("``` a`b\nprose", []),
    ],
)
def test_fences_are_found_in_lists_and_quotes(text: str, found: list[str]) -> None:
    assert codes(text) == found


@given(st.text("`~>-1.* \t\n<ab|$\\", max_size=80))
def test_the_blocks_are_the_text(text: str) -> None:
    assert "".join(line for block in split_blocks(text) for line in block.lines) == text


def test_tags_in_code_of_a_list_are_as_they_were_and_outside_literal() -> None:
    text = "1. x <b>\n   ```html\n   <b>\n   ```\n   <i>\n"
    assert to_markdown(text) == "1. x \\<b>\n\n   ```html\n   <b>\n   ```\n   \\<i>\n"


def test_tabs_of_code_stay_and_those_of_the_list_around_are_spaces() -> None:
    assert to_markdown("```\na:\n\tb\tc\n```") == f"```\na:\n{MARK}\tb\tc\n```"
    assert to_markdown("1. x\n\t```\n\t\tb\n\t```\n") == (
        f"1. x\n\n    ```\n    {MARK}\tb\n    ```\n"
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("| `a || b` | or |", r"| `a \|\| b` | or |"),
        ("| `a | b` |", "| `a | b` |"),  # as many cells as there are columns
        ("| $|x|$ | y |", "| $|x|$ | y |"),
        (r"| `a \| b` | y |", r"| `a \| b` | y |"),
    ],
)
def test_a_bar_in_code_ends_no_cell(row: str, expected: str) -> None:
    head = "| h | i |\n|---|---|\n"
    assert list(split_tables(f"x\n\n{head}{row}\n\ny | z")) == [
        ("x\n\n", False),
        (f"{head}{expected}\n", True),
        ("\ny | z", False),
    ]


def test_a_table_is_as_wide_as_its_widest_row() -> None:
    (_, _), (table, _), _ = split_tables("| a |\n|---|\n| 1 | 2 | 3 |\n")
    assert table == "| a |   |   |\n|---| - | - |\n| 1 | 2 | 3 |\n"


PAGE = "<!DOCTYPE html>\n<html><body>```</body></html>"


@pytest.mark.parametrize(
    ("answer", "pages"),
    [
        ("```html\n<b>\n```", ["<b>\n"]),
        ("- a\n  ```HTML title\n  <b>\n  ```\n~~~html\n<i>\n~~~", ["<b>\n", "<i>\n"]),
        ("```html\n<b>", []),  # not complete
        ("```xml\n<b>\n```\n```html\n\n```", []),
        (PAGE, [f"{PAGE}\n"]),
        (f"{PAGE}\nThat was it.", [f"{PAGE}\n"]),
        (PAGE[:-3], []),
        ("<b>only a tag</b>", []),
    ],
)
def test_html_that_is_complete_can_be_shown(answer: str, pages: list[str]) -> None:
    assert find_pages(answer) == pages
    assert bool(to_preview_html(answer)) == bool(pages)


def test_a_bare_page_is_shown_as_code_and_is_data_in_the_page() -> None:
    assert fence_bare_page(f"{PAGE}\nbye") == f"````html\n{PAGE}\n````\n\nbye"
    assert to_preview_html(PAGE).count("<") == 2
