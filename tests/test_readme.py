"""The README says what is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def files_in_tree() -> set[str]:
    block = re.search(r"^## Files\n\n```\n(.*?)```", README, re.S | re.M)
    assert block is not None
    found, folders = set(), []
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders[depth:] = [name]
        if name.endswith(".py"):
            found.add("".join(folders[: depth + 1]))
    return found


def test_the_tree_lists_every_module_and_no_other() -> None:
    modules = {
        str(path.relative_to(ROOT))
        for folder in ("model", "grounding", "agent", "ui", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert files_in_tree() == modules | {"app.py"}


def test_linked_files_exist() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
