"""Settings of the command line and the environment; what is refused before anything starts."""

from __future__ import annotations

import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import app
from grounding.evaluation.options import read_settings as evaluation_settings
from model.processing import Limits
from model.quantization import QUANTIZATIONS

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in (
        *("MODEL", "HOST", "PORT", "AUTH", "MCP", "DEVICE", "DTYPE", "MAX_CONVERSATIONS"),
        "QUANTIZATION",
        *("MAX_WAITING", "MAX_PER_MINUTE", "BROWSER_ORIGINS"),
        *("MAX_FILE_MB", "MAX_MEGAPIXELS", "MAX_TOKENS"),
        *("MAX_PAGES", "MAX_FRAMES", "MAX_MINUTES"),
    ):
        monkeypatch.delenv(f"SIGHTLINE_{option}", raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)


def test_by_default_the_bundled_model_is_served_to_this_machine_only() -> None:
    settings = app.read_settings([])
    assert (settings.model, settings.host, settings.port) == ("bundled", "127.0.0.1", 7860)


def test_on_a_space_the_page_listens_to_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/sightline")
    assert app.read_settings([]).host == "0.0.0.0"


def test_the_environment_is_read_and_the_command_line_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGHTLINE_PORT", "8000")
    monkeypatch.setenv("SIGHTLINE_MAX_CONVERSATIONS", "4")
    settings = app.read_settings(["--port", "9000"])
    assert (settings.port, settings.max_conversations) == (9000, 4)


def test_weights_are_quantised_where_the_operator_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert app.read_settings([]).quantization == "none"
    monkeypatch.setenv("SIGHTLINE_QUANTIZATION", "int8")
    assert app.read_settings([]).quantization == "int8"


def test_all_kinds_of_integers_can_be_asked_for() -> None:
    assert app.QUANTIZATIONS == ("none", *QUANTIZATIONS)
    for to in QUANTIZATIONS:
        assert evaluation_settings("", ["data", "--quantization", to]).quantization == to


def test_an_unknown_quantization_is_refused_with_those_that_are_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        app.read_settings(["--quantization", "int3"])
    assert "'int3' is none of none, int8" in capsys.readouterr().err


@pytest.mark.parametrize("conversations", ["0", "-1", "many"])
def test_a_number_of_conversations_that_serves_nobody_is_refused(conversations: str) -> None:
    with pytest.raises(SystemExit):
        app.read_settings(["--max-conversations", conversations])


def test_the_operator_sets_how_many_may_wait_and_how_often_one_may_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = app.read_settings([])
    assert (settings.max_waiting, settings.max_per_minute) == (64, 60)
    monkeypatch.setenv("SIGHTLINE_MAX_WAITING", "5")
    settings = app.read_settings(["--max-per-minute", "0"])
    assert (settings.max_waiting, settings.max_per_minute) == (5, 0)


@pytest.mark.parametrize("option", ["--max-waiting", "--max-per-minute"])
@pytest.mark.parametrize("number", ["-1", "1.5", "many"])
def test_a_number_of_questions_that_is_none_is_refused(option: str, number: str) -> None:
    with pytest.raises(SystemExit):
        app.read_settings([option, number])


def test_the_operator_sets_what_may_be_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_MAX_PAGES", "7")
    limits = app.make_limits(app.read_settings(["--max-file-mb", "3", "--max-minutes", "2"]))
    assert (limits.max_pages, limits.max_bytes) == (7, 3 * 1024 * 1024)
    assert (limits.max_duration_s, limits.max_frames) == (120, Limits().max_frames)


def test_the_operator_sets_pixels_and_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_MAX_TOKENS", "2000")
    limits = app.make_limits(app.read_settings(["--max-megapixels", "12"]))
    assert (limits.max_pixels, limits.max_tokens) == (12_000_000, 2000)


@pytest.mark.parametrize("option", ["--max-megapixels", "--max-tokens"])
def test_a_limit_that_lets_nothing_through_is_refused(option: str) -> None:
    with pytest.raises(SystemExit):
        app.read_settings([option, "0"])


def test_the_agent_may_use_a_browser_only_where_the_operator_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert app.check_origins(app.read_settings([]).browser_origins) == ()
    monkeypatch.setenv("SIGHTLINE_BROWSER_ORIGINS", "http://127.0.0.1:8000, https://a.example")
    origins = app.check_origins(app.read_settings([]).browser_origins)
    assert origins == ("http://127.0.0.1:8000", "https://a.example:443")


@pytest.mark.parametrize("listed", ["a.example", "file:///", "http://a.example/path", "*"])
def test_what_is_no_origin_is_refused(listed: str) -> None:
    with pytest.raises(SystemExit, match="--browser-origins"):
        app.check_origins(listed)


@pytest.mark.parametrize(
    ("value", "is_on"), [("1", True), ("true", True), ("0", False), ("False", False), ("", False)]
)
def test_tools_for_programs_are_offered_where_the_operator_says(
    monkeypatch: pytest.MonkeyPatch, value: str, is_on: bool
) -> None:
    assert (app.read_settings([]).mcp, app.read_settings(["--mcp"]).mcp) == (False, True)
    monkeypatch.setenv("SIGHTLINE_MCP", value)
    assert app.read_settings([]).mcp == is_on


@pytest.mark.parametrize("found", [None, "1.29.1", "2.3.0"])
def test_tools_without_the_package_for_them_end_the_start_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, found: str | None
) -> None:
    def version(_: str) -> str:
        if found is None:
            raise PackageNotFoundError
        return found

    monkeypatch.setattr(app, "version", version)
    with pytest.raises(SystemExit, match=r"pip install 'mcp>=1\.30,<2'"):
        app.check_mcp()


def test_the_package_for_tools_that_is_asked_for_is_the_declared_one() -> None:
    app.check_mcp()
    assert f'mcp = [\n    "{app.MCP_PACKAGE}",\n]' in (ROOT / "pyproject.toml").read_text()


def test_a_password_may_contain_colons() -> None:
    assert app.read_auth("me:a:b") == ("me", "a:b")


@pytest.mark.parametrize("auth", ["me", "me:", ":secret"])
def test_half_a_login_is_refused(auth: str) -> None:
    with pytest.raises(SystemExit, match="USER:PASSWORD"):
        app.read_auth(auth)


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere/at/all", "nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_named(model: str) -> None:
    with pytest.raises(SystemExit, match="no such folder"):
        app.check_model(model)


def test_a_hub_id_is_passed_on() -> None:
    assert app.check_model("zai-org/GLM-4.5V") == "zai-org/GLM-4.5V"


def test_the_page_says_what_the_bundled_model_can_do_and_what_else_to_run() -> None:
    name, summary, about = app.describe_model("bundled")
    assert name == "Bundled demo model"
    assert "86 %" in summary
    assert "| 92 % (of 200) |" in about
    assert "--model zai-org/GLM-4.5V" in about
    assert "![" not in about  # the page does not serve the pictures of the card


def test_a_port_in_use_ends_the_start_with_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        run = subprocess.run(
            [sys.executable, str(ROOT / "app.py"), "--port", port],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert run.returncode == 1
    assert run.stderr.startswith(f"cannot listen on 127.0.0.1, port {port}")
    assert "Traceback" not in run.stderr
