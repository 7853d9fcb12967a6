"""The command: what it refuses before anything is loaded, and a run from end to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from benchmark_files import screenspot_entry, write_screenspot
from opens_files import OpensFiles
from scripted_endpoint import MODEL, fail, say, scripted_endpoint

from grounding import evaluate
from grounding.evaluation.options import read_settings
from model.backends.base import (
    AnswerDelta,
    BackendError,
    Event,
    Finished,
    Message,
    SamplingOptions,
    Status,
    ThinkingDelta,
)

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "assets" / "examples"
END = Finished("stop", prompt_tokens=9, new_tokens=3, first_token_s=0.1, total_s=0.2)


@dataclass
class TargetBackend(OpensFiles):
    """Answers with the target of ``screenspot_entry``; fails for instructions in ``failing``."""

    failing: set[str] = field(default_factory=set)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    name: str = "Scripted"

    def status(self) -> Status:
        return Status("ready", "Ready")

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        question = messages[0]["content"][-1]["text"]
        self.asked.append((question, enable_thinking))
        if question in self.failing:
            raise BackendError("the server is away")
        yield ThinkingDelta("[[900,900,999,999]] is a draft")
        yield AnswerDelta("<|begin_of_box|>[[100,100,")
        yield AnswerDelta("300,400]]<|end_of_box|>")
        yield END


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> TargetBackend:
    """A backend that takes the place of every checkpoint."""
    scripted = TargetBackend()
    monkeypatch.setattr(
        evaluate, "ready_backend", lambda *settings: nullcontext((scripted, SamplingOptions()))
    )
    return scripted


def write_items(folder: Path, count: int) -> str:
    write_screenspot(folder, [screenspot_entry(instruction=f"item {n}") for n in range(count)])
    return str(folder)


def refuse_to_load(*_: object) -> None:
    raise AssertionError("a model was loaded")


def test_a_dataset_that_does_not_fit_is_refused_before_a_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "ready_backend", refuse_to_load)
    with pytest.raises(SystemExit, match="fits no known layout"):
        evaluate.main([str(tmp_path)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--endpoint", "http://x"], "belong together"),
        (["--endpoint", "http://x", "--endpoint-model", "m", "--model", "bundled"], "not both"),
        (["--prompt", "Click on it"], "no {instruction}"),
        (["--convention", "metres"], "unknown coordinate convention"),
        (["--limit", "0"], "--limit"),
        (["--out", "data"], "is the folder of the data"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read_settings("", ["data", *arguments])
    assert message in capsys.readouterr().err


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    data = write_items(tmp_path, 1)
    with pytest.raises(SystemExit, match="--model ./nowhere: there is no such folder"):
        evaluate.main([data, "--model", "./nowhere"])


def test_the_bundled_model_is_asked_as_it_was_trained_and_others_as_glm_documents() -> None:
    assert read_settings("", ["data"]).prompt == "Click on {instruction}"
    other = read_settings("", ["data", "--model", "zai-org/GLM-4.5V"])
    assert other.prompt.startswith("Help me to locate {instruction} in the image")


def test_help_states_the_prompts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_settings("", ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "'Click on {instruction}'" in text and "screenspot_*_v2.json" in text


def test_a_run_writes_answers_figures_and_the_page(
    tmp_path: Path, backend: TargetBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_items(tmp_path / "data", 3)
    out = tmp_path / "out"
    assert evaluate.main([data, "--out", str(out), "--thinking"]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["answered"], summary["all"]["accuracy"]) == (3, 1.0)
    assert summary["settings"]["thinking"] is True
    assert backend.asked[0] == ("Click on item 0", True)
    assert (out / "failures.html").is_file()
    assert len((out / "results.jsonl").read_text().splitlines()) == 4
    assert "100.0%" in capsys.readouterr().out


def test_a_second_run_asks_only_what_is_missing(tmp_path: Path, backend: TargetBackend) -> None:
    data = write_items(tmp_path / "data", 4)
    backend.failing = {"Click on item 1"}
    arguments = [data, "--out", str(tmp_path / "out")]
    assert evaluate.main([*arguments, "--limit", "2"]) == 0  # items 0 and 2
    assert evaluate.main(arguments) == 1  # item 1 fails
    backend.failing = set()
    backend.asked.clear()
    assert evaluate.main(arguments) == 0
    assert [question for question, _ in backend.asked] == ["Click on item 1"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["answered"], summary["failed"]) == (4, 0)


def test_other_settings_do_not_mix_with_earlier_answers(
    tmp_path: Path, backend: TargetBackend
) -> None:
    data = write_items(tmp_path / "data", 1)
    arguments = [data, "--out", str(tmp_path / "out")]
    evaluate.main(arguments)
    with pytest.raises(SystemExit, match="look_twice was False and is now True"):
        evaluate.main([*arguments, "--look-twice"])


def test_an_interrupted_run_says_how_to_go_on_and_keeps_what_came(
    tmp_path: Path,
    backend: TargetBackend,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write_items(tmp_path / "data", 3)
    arguments = [data, "--out", str(tmp_path / "out")]

    def interrupt(self: object, note: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(evaluate.Progress, "advance", interrupt)
        assert evaluate.main(arguments) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["answered"] == 1
    backend.asked.clear()
    assert evaluate.main(arguments) == 0
    assert {question for question, _ in backend.asked} == {"Click on item 1", "Click on item 2"}


def test_a_server_is_asked_with_its_key_and_for_the_likeliest_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_ENDPOINT_KEY", "secret")
    data, out = write_items(tmp_path / "data", 3), tmp_path / "out"
    scripts = (say("[[100,100,", "300,400]]"), fail(400, {"error": {"message": "too hot"}}))
    with scripted_endpoint(*scripts) as endpoint:
        server = ["--endpoint", endpoint.url, "--endpoint-model", MODEL, "--concurrency", "1"]
        assert evaluate.main([data, "--out", str(out), *server]) == 1
        asked = endpoint.asked[0]
    assert {k.lower(): v for k, v in asked.headers.items()}["authorization"] == "Bearer secret"
    assert (asked.body["temperature"], asked.body["max_tokens"]) == (0, 512)
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["all"]["right"], summary["answered"], summary["failed"]) == (1, 1, 2)
    written = "".join(file.read_text() for file in out.glob("*.*"))
    assert "too hot" in written and "secret" not in written


def test_a_server_that_is_not_there_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    data = write_items(tmp_path / "data", 1)
    with scripted_endpoint() as endpoint:
        url = endpoint.url
    with pytest.raises(SystemExit, match=f"--endpoint {url}: "):
        evaluate.main([data, "--out", str(tmp_path), "--endpoint", url, "--endpoint-model", "m"])


def test_reading_answers_needs_neither_torch_nor_gradio() -> None:
    program = (
        "import sys, grounding.evaluate, grounding.look_twice;"
        "print([name for name in ('torch', 'gradio', 'model', 'cv2') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert ran.stdout.strip() == "[]"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """The example screens as a benchmark, on the six things that they are shown with."""
    listed = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))
    entries = [
        screenspot_entry(
            img_filename=example["file"],
            instruction=example["instruction"],
            bbox=[
                *example["target"][:2],
                example["target"][2] - example["target"][0],
                example["target"][3] - example["target"][1],
            ],
        )
        for example in listed
    ]
    (tmp_path / "screenspot_web.json").write_text(json.dumps(entries), encoding="utf-8")
    return tmp_path


def command(data: Path, out: Path) -> list[str]:
    options = ["--images", str(EXAMPLES), "--prompt", "{instruction}", "--out", str(out)]
    return [sys.executable, "-m", "grounding.evaluate", str(data), *options]


@pytest.mark.slow
def test_the_bundled_model_clicks_five_of_its_six_examples(examples: Path, tmp_path: Path) -> None:
    subprocess.run(command(examples, tmp_path / "out"), cwd=ROOT, check=True)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["all"]["count"], summary["all"]["right"]) == (6, 5)


def heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ctrl_c_ends_one_in_good_order(
    examples: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    results = out / "results.jsonl"
    for sent, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        before = len(results.read_bytes().splitlines()) if results.exists() else 1
        # what a shell starts in the background ignores Ctrl-C, and so would what it starts
        running = subprocess.Popen(command(examples, out), cwd=ROOT, preexec_fn=heed_interrupts)
        while running.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                running.wait(0.05)
            if results.exists() and len(results.read_bytes().splitlines()) > before:
                os.kill(running.pid, sent)
                break
        assert running.wait(60) == status
    subprocess.run(command(examples, out), cwd=ROOT, check=True)
    records = [json.loads(line) for line in results.read_text().splitlines()[1:]]
    assert len({record["key"] for record in records}) == len(records) == 6
