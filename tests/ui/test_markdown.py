"""Text reaches the browser's Markdown renderer without anything that it would take for HTML."""

from __future__ import annotations

import time

import pytest

from ui.rendering.markdown import MARK, to_markdown

ESCAPED = {
    "a < b and c > d": "a < b and c > d",
    "<script>alert(1)</script>": "\\<script>alert(1)\\</script>",
    "x <b>bold</b>": "x \\<b>bold\\</b>",
    "already \\<b>": "already \\<b>",
    "a backslash \\\\<b>": "a backslash \\\\\\<b>",
    "&lt;b&gt; & more": "\\&lt;b\\&gt; & more",
    "![x](http://example.com/x.png)": "!\\[x](http://example.com/x.png)",
    "[a link](http://example.com)": "[a link](http://example.com)",
    "`<b>` is code": "`<b>` is code",
    "`` a ` <b> ``": "`` a ` <b> ``",
    "| `a | <b>` |": "| `a | <b>` |",
    "| a | b |\n|-|-|\n| `a | <b>` |": "| a | b |\n|-|-|\n| `a | \\<b>` |",
    "[0:42]: boom": "\\[0:42]: boom",
    "`a\n` <b> `c`": "`a\n` \\<b> `c`",
    "`a\n\n`<b>`": "`a\n\n`<b>`",
    "\\`<b>`": "\\`\\<b>`",
    "<!-- gone? -->": "\\<!-- gone? -->",
}


@pytest.mark.parametrize(("text", "expected"), ESCAPED.items())
def test_tags_are_escaped_except_in_code(text: str, expected: str) -> None:
    assert to_markdown(text) == expected


def test_a_fenced_block_keeps_its_tags_and_ends_where_the_browser_ends_it() -> None:
    text = "see\n```html\n<b>\n ````\n<i>\n~~~\n<u>"
    assert to_markdown(text) == "see\n\n```html\n<b>\n ````\n\\<i>\n\n~~~\n<u>"


def test_a_fence_hidden_in_a_link_title_does_not_unlock_tags() -> None:
    lines = to_markdown("[f]: /u 't\n```\n'\n<img src=x>").split("\n")
    assert lines[1] == ""  # the title is over before the fence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$$a<b$$", "$$|a<b|$$"),
        ("\\[ x \\] and \\(y<z\\)", "\\[| x |\\] and \\(|y<z|\\)"),
        ("the line $y = x$ rises", "the line $|y = x|$ rises"),
        ("from $5 to $10, $HOME and $PATH", "from $5 to $10, $HOME and $PATH"),
        ("`\\(a\\)` and \\(", "`\\(a\\)` and \\\\("),
        ("```\n\\(a\\) $$b$$\n```", "```\n\\(a\\) $$b$$\n```"),
    ],
)
def test_formulas_are_marked_outside_code_only(text: str, expected: str) -> None:
    assert to_markdown(text) == expected.replace("|", MARK)


def test_a_typed_mark_does_not_make_a_formula() -> None:
    assert MARK not in to_markdown(f"$5 or {MARK}$")


def seconds_for(text: str) -> float:
    """Return how long a text takes, the best of three."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        to_markdown(text)
        taken.append(time.perf_counter() - began)
    return min(taken)


@pytest.mark.parametrize(
    "piece", ["\\( ", "\\[ ", "\\( \\[ ", "\\\\\\[ ", "`a\n", "$$", "[a", "> ", "> [a\n"]
)
def test_what_never_closes_takes_about_as_long_as_plain_text(piece: str) -> None:
    plain, hostile = "word word\n" * 6_000, piece * (60_000 // len(piece))
    # a search to the end from each piece takes some hundred times as long
    assert seconds_for(hostile) < 40 * seconds_for(plain)


def test_a_definition_is_escaped_however_deep_its_quote() -> None:
    deep = "> " * 100_000
    assert to_markdown(f"{deep}[a]: b") == f"{deep}\\[a]: b"
    assert to_markdown(f"{deep}[a] b") == f"{deep}[a] b"


def test_only_the_last_of_several_openings_begins_a_formula() -> None:
    assert to_markdown("\\( a \\(b\\)") == f"\\\\( a \\({MARK}b{MARK}\\)"


def test_a_space_after_a_line_of_a_formula_opens_none() -> None:
    assert to_markdown("\\[a \\\\[2pt] b\\]") == f"\\[{MARK}a \\\\[2pt] b{MARK}\\]"
