"""The tokens of lists and objects as models write them; all patterns match in linear time."""

from __future__ import annotations

import re
from typing import Any

# ``(`` after a name is a call; ``<`` opens a list only before a number or another list.
OPENER = re.compile(r"[\[{]|(?<![A-Za-z0-9_])\(|<(?=\s{0,8}[-0-9\[(<])")
TOKEN = re.compile(
    r"""
      (?P<skip>(?:[\s,;]|\\[nrt]|\.\.\.|…)+ | (?://|\#)[ \t][^\n]*)
    | (?P<comment>/\*)
    | (?P<open>[\[({] | <(?=\s{0,8}[-0-9\[(<]))
    | (?P<close>[\])}>])
    | (?P<quote>\\?["'] | [“‘])
    | (?P<number>[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?)
      (?=[\s,;:\[\](){}<>"'\\/…] | $) [\s,;]*
    | (?P<word>[^\s,;:\[\](){}<>"'“‘\\]+)
    """,
    re.VERBOSE,
)
# A whole list of plain numbers at once: nearly all lists are; it reads them twice as fast.
_PLAIN_NUMBER = r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?"
PLAIN_LIST = re.compile(
    rf"\s{{0,8}}({_PLAIN_NUMBER}(?:\s{{0,8}},\s{{0,8}}{_PLAIN_NUMBER}){{0,7}})[\])}}>]"
)
COLON = re.compile(r"\s{0,8}:")
# A quote closes a string only where a value may end, so unescaped quotes inside labels survive.
_AFTER_STRING = r"(?=\s*(?:[,:}\])>/\#]|$)|\s+[\"'])"
STRING_END = {
    '"': re.compile('"' + _AFTER_STRING),
    "'": re.compile("'" + _AFTER_STRING),
    '\\"': re.compile(r'\\"' + _AFTER_STRING),
    "\\'": re.compile(r"\\'" + _AFTER_STRING),
    "“": re.compile("”"),
    "‘": re.compile("’" + _AFTER_STRING),
}
BARE_WORDS = re.compile(r"[^,}\]\n]*")
CLOSERS = {"[": "]", "(": ")", "{": "}", "<": ">"}
NOT_FINITE = frozenset(("nan", "inf", "infinity"))
LITERALS: dict[str, Any] = {"true": True, "false": False, "none": None, "null": None}
