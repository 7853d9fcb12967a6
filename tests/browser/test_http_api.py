"""What programs get over HTTP, through Gradio's own client, from the app as users start it."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageChops

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "assets" / "examples"
EXAMPLE = json.loads((EXAMPLES / "examples.json").read_text())[0]
SCREENSHOT = EXAMPLES / EXAMPLE["file"]


@pytest.fixture(scope="module")
def client(app_url: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(app_url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def test_locate_returns_boxes_and_the_picture(client: Client) -> None:
    result, picture = client.predict(
        handle_file(SCREENSHOT), EXAMPLE["instruction"], False, api_name="/locate"
    )
    original, drawn = Image.open(SCREENSHOT), Image.open(picture)
    assert result["image_sizes"] == [list(original.size)]
    (box,) = result["boxes"]
    # a second look, which this app takes, may find pixels between two thousandths
    thousandths = [x / original.size[i % 2] * 1000 for i, x in enumerate(box["xyxy"])]
    assert box["norm"] == pytest.approx(thousandths, abs=0.51)
    assert drawn.format == "PNG"
    assert ImageChops.difference(original.convert("RGB"), drawn.convert("RGB")).getbbox()


def test_chat_returns_answer_thought_and_usage(client: Client) -> None:
    message = {"text": EXAMPLE["instruction"], "files": [handle_file(SCREENSHOT)]}
    reply = client.predict(message, None, True, api_name="/chat")
    assert reply["answer"]
    assert reply["thinking"]
    assert reply["usage"]["finish_reason"] == "stop"


def test_chat_takes_a_history(client: Client) -> None:
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    message = {"text": "Where is it?", "files": []}
    alone = client.predict(message, None, False, api_name="/chat")
    followed = client.predict(message, history, False, api_name="/chat")
    assert followed["usage"]["prompt_tokens"] > alone["usage"]["prompt_tokens"]


def test_the_readme_s_program_runs(app_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    program = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert program is not None
    values: dict[str, Any] = {}
    exec(program[1].replace("http://127.0.0.1:7860", app_url), values)
    assert values["result"]["boxes"]
    assert values["reply"]["answer"]


def test_a_bad_call_gets_the_reason(client: Client) -> None:
    with pytest.raises(AppError, match="Say what to find"):
        client.predict(handle_file(SCREENSHOT), "", False, api_name="/locate")


def test_a_file_of_the_server_cannot_be_read(client: Client) -> None:
    image = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(AppError):
        client.predict(image, "Click on Save", False, api_name="/locate")


def test_parse_reads_a_reply_that_is_given(client: Client) -> None:
    text = "<|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"
    result = client.predict(text, [[200, 100]], api_name="/parse")
    assert [box["xyxy"] for box in result["boxes"]] == [[20, 20, 60, 40]]
    result = client.predict(text, [[200, 100]], "pixel", api_name="/parse")
    assert result["convention"] == "pixel"


def test_parse_gives_the_reason_for_a_refusal(client: Client) -> None:
    with pytest.raises(AppError, match="image_sizes must hold"):
        client.predict("text", [[0, 100]], api_name="/parse")


def test_parse_is_there_without_gradio_s_client(app_url: str) -> None:
    body = {"text": "[[100,200,300,400]]", "image_sizes": [[200, 100]], "convention": "glm"}
    request = urllib.request.Request(
        f"{app_url}/gradio_api/run/parse",
        json.dumps({"data": [*body.values(), None]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        (result,) = json.load(response)["data"]
    assert [box["norm"] for box in result["boxes"]] == [[100, 200, 300, 400]]
