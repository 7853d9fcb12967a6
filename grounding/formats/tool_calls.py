"""Calls of tools in tags, where the server left them in the text.

GLM: ``<tool_call>name <arg_key>k</arg_key> <arg_value>v</arg_value> </tool_call>``; Seed and Qwen:
``<function=name><parameter=k>v</parameter></function>``. The JSON form needs no reader of its own:
its object is found wherever it stands (``action_objects``).
"""

from __future__ import annotations

import re
from typing import Any

from grounding.formats.action_objects import read_tool_call
from grounding.readings import Findings
from grounding.scanner import Budget, scan
from grounding.values import Bad, to_number, to_plain, unescape

_TAG = re.compile(
    r"<tool_call>\s{0,5}(?P<glm>[A-Za-z_][\w.-]{0,60})(?=\s{0,5}</?(?:arg_key|tool_call)>)"
    r"|<function=(?P<function>[\w.-]{1,60})>|<parameter=(?P<parameter>[\w.-]{1,60})>"
    r"|</?(?P<name>arg_key|arg_value)>"
    r"|</(?P<end>tool_call|function|parameter)>|<\|(?:user|observation|assistant)\|>"
)


def read_tool_calls(
    findings: Findings, text: str, start: int, end: int, budget: Budget
) -> list[tuple[int, int]]:
    """Add the calls of tools in tags in ``text[start:end]``; returns their spans.

    A forgotten closing tag ends where the next tag begins; a call that the end of the text cuts
    off is not used.
    """
    if not any(text.find(tag, start, end) >= 0 for tag in ("<function=", "<tool_call>")):
        return []
    reader = _Reader(findings, text, budget)
    for tag in _TAG.finditer(text, start, end):
        reader.take(tag)
    if reader.name is not None:
        findings.notes.append("the text ends inside a tool call; it was not used")
        reader.spans.append((reader.start, end))
    return reader.spans


class _Reader:
    """Goes from tag to tag; at most one call and one value are open."""

    def __init__(self, findings: Findings, text: str, budget: Budget) -> None:
        self.findings = findings
        self.text = text
        self.budget = budget
        self.spans: list[tuple[int, int]] = []
        self.name: str | None = None
        self.start = 0
        self.args: dict[str, Any] = {}
        self.arg_spans: dict[str, tuple[int, int]] = {}
        self.key: str | None = None
        self.value_start: int | None = None
        self.key_start: int | None = None

    def take(self, tag: re.Match[str]) -> None:
        self.close_value(tag.start())
        if tag["glm"] or tag["function"]:
            self.close_call(tag.start())
            self.name = tag["glm"] or tag["function"]
            self.start = tag.start()
        elif tag["parameter"]:
            self.key, self.value_start = tag["parameter"], tag.end()
        elif tag["name"] == "arg_key":
            if tag[0][1] == "/" and self.key_start is not None:
                self.key = self.text[self.key_start : tag.start()].strip()[:60]
            self.key_start = None if tag[0][1] == "/" else tag.end()
        elif tag["name"] == "arg_value":
            if tag[0][1] != "/" and self.key is not None:
                self.value_start = tag.end()
        elif tag["end"] in ("tool_call", "function") or tag["end"] is None:
            self.close_call(tag.end() if tag["end"] else tag.start())

    def close_value(self, end: int) -> None:
        if self.key is not None and self.value_start is not None:
            raw = self.text[self.value_start : end]
            self.args[self.key] = self.value(raw)
            self.arg_spans[self.key] = (self.value_start, end)
            self.key = self.value_start = None

    def value(self, raw: str) -> Any:
        """Raw text, or JSON."""
        raw = raw.strip()
        if raw[:1] in "[{" and len(raw) < 5000:
            roots = scan(raw, budget=self.budget).roots
            if len(roots) == 1 and roots[0].end == len(raw):
                return to_plain(roots[0])
        number = to_number(raw) if raw[:1] in "-0123456789" and raw else Bad(raw)
        return unescape(raw) if isinstance(number, Bad) else number

    def close_call(self, end: int) -> None:
        if self.name is not None:
            span = (self.start, end)
            self.findings.actions.append(read_tool_call(self.name, self.args, span, self.arg_spans))
            self.spans.append(span)
        self.name, self.args, self.arg_spans = None, {}, {}
