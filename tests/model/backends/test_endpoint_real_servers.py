"""Real servers in processes of their own, which compute real answers and can be killed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from endpoint_client import HI, ask, connected, start
from PIL import Image
from processes import free_port

from model.backends.base import BackendError, Message, Reply, SamplingOptions
from model.backends.endpoint import EndpointBackend
from model.backends.local import LocalBackend

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
BUNDLED = ROOT / "assets" / "bundled"
# far longer than a server takes to start
PATIENCE_S = 180


@contextmanager
def running(*command: str, port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends."""
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    threading.Thread(target=_drain, args=(process,), daemon=True).start()
    try:
        wait_until(lambda: answers_at(port), process)
        yield process
    finally:
        process.kill()
        process.wait()


def _drain(process: subprocess.Popen[bytes]) -> None:
    """Keep the last lines of what a server says, for a test that fails."""
    assert process.stderr is not None
    for line in process.stderr:
        sys.stderr.write(line.decode(errors="replace"))


def answers_at(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(is_so: Any, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, "the server did not start"
        threading.Event().wait(0.05)


@contextmanager
def bundled(port: int) -> Iterator[subprocess.Popen[bytes]]:
    with running(str(ROOT / "tests" / "serve_bundled.py"), str(port), port=port) as process:
        yield process


def wait_until_ready(backend: EndpointBackend) -> None:
    wait_until(lambda: backend.status().state == "ready")


def question() -> list[Message]:
    image = Image.open(ROOT / "assets" / "examples" / "checkout.png").convert("RGB")
    content = [{"type": "image", "image": image}, {"type": "text", "text": "Click on the button"}]
    return [{"role": "user", "content": content}]


def first_piece(stream: Iterator[Any], reply: Reply) -> None:
    for event in stream:
        reply.add(event)
        if reply.thinking or reply.answer:
            return


def test_a_served_model_answers_as_it_does_in_this_process() -> None:
    local = LocalBackend(str(BUNDLED), name="local", device="cpu", num_threads=1)
    assert local.wait_until_settled(PATIENCE_S).state == "ready"
    port = free_port()
    with bundled(port), connected(f"http://127.0.0.1:{port}/v1") as remote:
        wait_until_ready(remote)
        for thinking in (False, True):
            here, there = Reply(), ask(remote, question(), thinking=thinking)
            for event in local.stream(
                question(), enable_thinking=thinking, options=SamplingOptions()
            ):
                here.add(event)
            assert (there.thinking, there.answer) == (here.thinking, here.answer)
            assert bool(there.thinking) is thinking
            assert here.finished is not None
            assert there.finished is not None
            assert there.finished.prompt_tokens == here.finished.prompt_tokens
            assert there.finished.new_tokens == here.finished.new_tokens


def test_a_part_of_an_answer_is_gone_on_with_to_the_same_end() -> None:
    """It ends where a number does: a number that is cut is not the same tokens."""
    port = free_port()
    with bundled(port), connected(f"http://127.0.0.1:{port}/v1") as backend:
        wait_until_ready(backend)
        for thinking in (False, True):
            whole = ask(backend, question(), thinking=thinking)
            part = whole.answer[: whole.answer.rindex(",") + 1]
            begun: Message = {"role": "assistant", "content": [{"type": "text", "text": part}]}
            if whole.thinking:
                begun["reasoning_content"] = whole.thinking
            rest = ask(backend, [*question(), begun], thinking=thinking)
            assert (rest.thinking, part + rest.answer) == ("", whole.answer)


def test_a_server_stops_computing_what_is_closed() -> None:
    port = free_port()

    def count() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/active") as response:
            return json.load(response)

    with bundled(port), connected(f"http://127.0.0.1:{port}/v1") as backend:
        wait_until_ready(backend)
        stream = start(backend, question(), thinking=True)
        first_piece(stream, Reply())
        stream.close()  # type: ignore[attr-defined]
        wait_until(lambda: count() == 0)
        assert ask(backend, question()).answer


def test_a_server_that_is_killed_cuts_the_answer_off_and_is_found_again() -> None:
    port = free_port()
    with connected(f"http://127.0.0.1:{port}/v1", max_retries=0) as backend:
        with bundled(port) as process:
            wait_until_ready(backend)
            whole = ask(backend, question(), thinking=True)
            reply, stream = Reply(), start(backend, question(), thinking=True)
            first_piece(stream, reply)
            process.kill()
            with pytest.raises(BackendError, match="the answer is cut off"):
                for event in stream:
                    reply.add(event)
        assert reply.thinking
        assert whole.thinking.startswith(reply.thinking.rstrip())
        assert backend.test_connection().state == "loading"
        with pytest.raises(BackendError, match="cannot be reached"):
            ask(backend, question())
        with bundled(port):
            wait_until_ready(backend)
            again = ask(backend, question(), thinking=True)
            assert (again.thinking, again.answer) == (whole.thinking, whole.answer)


@pytest.fixture(scope="module")
def text_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny text model of random weights with the bundled tokenizer.

    The program below serves pictures only where torchvision is installed, and that of PyPI does
    not import beside a torch without CUDA ("operator torchvision::nms does not exist").
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("text")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=2047,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    shutil.copy(BUNDLED / "tokenizer.json", folder / "tokenizer.json")
    about = json.loads((BUNDLED / "tokenizer_config.json").read_text())
    del about["processor_class"]
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    template = ROOT / "model" / "processing" / "templates" / "glm45v.jinja"
    shutil.copy(template, folder / "chat_template.jinja")
    return folder


def test_the_server_of_transformers_answers_and_does_so_after_a_stop(
    text_checkpoint: Path, tmp_path: Path
) -> None:
    """It refuses what it does not know, which is left out; it lists only what it downloaded."""
    port, model = free_port(), str(text_checkpoint)
    program = "from transformers.cli.transformers import main; main()"
    options = ("serve", model, "--port", str(port), "--host", "127.0.0.1", "--device", "cpu")
    (tmp_path / "hub").mkdir()
    environment = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    with running("-c", program, *options, port=port, **environment):
        with connected(f"http://127.0.0.1:{port}/v1", model=model) as backend:
            wait_until_ready(backend)
            short = SamplingOptions(max_new_tokens=20)
            reply = ask(backend, HI, options=short)
            assert reply.answer
            assert reply.finished is not None
            assert (reply.finished.reason, reply.finished.new_tokens) == ("length", 20)
            stream = start(backend, HI, options=SamplingOptions(max_new_tokens=2000))
            first_piece(stream, Reply())
            stream.close()  # type: ignore[attr-defined]
            assert ask(backend, HI, options=short).finished is not None
