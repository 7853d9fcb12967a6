"""The page builds without a server or a model, and shows outside only what it should."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_backend import ScriptedBackend

from model.backends.base import Status
from ui import Example, PageSettings, build_ui
from ui.watching import show_status
from ui.wiring import questions_at_once


@pytest.fixture
def settings(tmp_path: Path) -> PageSettings:
    return PageSettings(about="**About**", max_conversations=3)


def test_building_the_page_asks_the_backend_nothing(settings: PageSettings) -> None:
    backend = ScriptedBackend(state=Status("loading", "Loading"))
    build_ui(backend, settings)
    assert backend.questions == []


def test_the_api_has_chat_locate_and_parse_and_nothing_else(settings: PageSettings) -> None:
    info = build_ui(ScriptedBackend(), settings).get_api_info()
    assert set(info["named_endpoints"]) == {"/chat", "/locate", "/parse"}
    assert info["unnamed_endpoints"] == {}


def test_programs_are_told_no_mark_of_a_translation(settings: PageSettings) -> None:
    assert "i18n" not in str(build_ui(ScriptedBackend(), settings).get_api_info())


def test_the_api_is_described(settings: PageSettings) -> None:
    endpoints = build_ui(ScriptedBackend(), settings).get_api_info()["named_endpoints"]
    assert [p["parameter_name"] for p in endpoints["/locate"]["parameters"]] == [
        "image",
        "instruction",
        "thinking",
        "look_twice",
    ]
    assert [p["parameter_name"] for p in endpoints["/chat"]["parameters"]] == [
        "message",
        "history",
        "thinking",
        "pages",
        "fps",
        "max_frames",
        "max_item_tokens",
        "animation_as_video",
    ]
    assert [p["parameter_name"] for p in endpoints["/parse"]["parameters"]] == [
        "text",
        "image_sizes",
        "convention",
        "model_size",
    ]
    for endpoint in endpoints.values():
        assert len(endpoint["description"]) > 30


def test_all_answers_share_one_queue_that_is_wider_than_what_is_computed(
    settings: PageSettings,
) -> None:
    page = build_ui(ScriptedBackend(), settings)
    limits = [fn.concurrency_limit for fn in page.fns.values() if fn.concurrency_id == "model"]
    assert len(limits) > 1
    assert set(limits) == {questions_at_once(settings)}


def test_live_runs_are_there_only_where_the_operator_allowed_servers() -> None:
    for origins in ((), ("http://127.0.0.1:8000",)):
        page = build_ui(ScriptedBackend(), PageSettings(browser_origins=origins))
        ids = {getattr(block, "elem_id", None) for block in page.blocks.values()}
        assert ("live-start" in ids) == bool(origins)


def test_the_repository_gets_no_files_from_building_the_page(settings: PageSettings) -> None:
    build_ui(ScriptedBackend(), settings)
    assert list(Path(__file__).parents[2].glob("ui/**/*.pyi")) == []


def test_examples_are_offered_with_a_word_on_how_they_go(tmp_path: Path) -> None:
    file = tmp_path / "screen.png"
    file.write_bytes(b"")
    settings = PageSettings(examples=[Example(str(file), "Click on Save", False)])
    page = build_ui(ScriptedBackend(), settings)
    (dataset,) = [b for b in page.blocks.values() if getattr(b, "elem_id", "") == "examples"]
    assert dataset.samples[0][1] == "Click on Save"
    assert "known to miss" in dataset.samples[0][2]


def test_the_status_line_is_escaped() -> None:
    line = show_status("<b>", Status("failed", "a < b"))
    assert "&lt;b&gt;" in line
    assert "a &lt; b" in line
    assert "failed" in line
