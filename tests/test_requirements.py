"""The lists of requirements that pip and Spaces read say the same as the project's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def listed(file: str) -> set[str]:
    lines = (ROOT / file).read_text().splitlines()
    return {line for line in lines if line and not line.startswith(("#", "-"))}


def declared(name: str) -> set[str]:
    found = re.search(
        rf"^{name} = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.S | re.M
    )
    assert found is not None
    return set(re.findall(r'"([^"]+)"', found[1]))


@pytest.mark.parametrize(
    ("file", "name"), [("requirements.txt", "dependencies"), ("requirements-test.txt", "test")]
)
def test_requirements_are_those_of_the_project(file: str, name: str) -> None:
    assert listed(file) == declared(name)


def test_the_space_runs_the_gradio_that_is_required() -> None:
    readme = (ROOT / "README.md").read_text()
    version = re.search(r"^sdk_version: (.+)$", readme, re.M)
    assert version is not None
    assert f"gradio>={version[1].rsplit('.', 1)[0]},<7" in listed("requirements.txt")
