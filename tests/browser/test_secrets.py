"""Keys planted in a really started app, before servers that repeat them, are found nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from processes import free_port, wait_for
from scripted_endpoint import Exchange, Script, card, say, scripted_endpoint
from visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
OPERATORS, VISITORS, WRONG = "sk-operators-0123456", "sk-visitors-0123456", "sk-refused-0123456"
KEYS = (OPERATORS, VISITORS, WRONG)
# what was kept in the browser, as one text
STORED = """async () => {
    const kept = [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie];
    for (const {name} of await indexedDB.databases()) {
        const base = await new Promise((done) => {
            indexedDB.open(name).onsuccess = (event) => done(event.target.result);
        });
        for (const store of base.objectStoreNames) {
            const all = base.transaction(store).objectStore(store).getAll();
            kept.push(await new Promise((done) => {
                all.onsuccess = () => done(store + JSON.stringify(all.result));
            }));
        }
        base.close();
    }
    return kept.join("\\n");
}"""


def key_of(exchange: Exchange) -> str:
    return str(exchange.asked.headers.get("authorization")).removeprefix("Bearer ")


def refusing(exchange: Exchange) -> None:
    exchange.reply(401, {"error": {"message": f"bad key {key_of(exchange)}"}})


def breaking_off(exchange: Exchange) -> None:
    exchange.start()
    exchange.delta("Half")
    exchange.data({"error": {"message": f"out of memory {key_of(exchange)}"}})


def complaining(exchange: Exchange) -> None:
    exchange.reply(400, f"{key_of(exchange)} is wrong", kind="text/plain")


def answers() -> list[Script]:
    """An answer, then faults that repeat the key, each in its own way."""
    return [say("Whole."), refusing, breaking_off, complaining]


@contextmanager
def started(log: Path, temporary: Path, *options: str) -> Iterator[str]:
    """Start the app with the operator's key; everything that it says goes into ``log``."""
    port = free_port()
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "app.py"), "--port", str(port), *options],
            env={
                **os.environ,
                "GRADIO_TEMP_DIR": str(temporary),
                "SIGHTLINE_ENDPOINT_KEY": OPERATORS,
                "OPENAI_LOG": "debug",
            },
            stdout=written,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def ask_four_times(page: Page) -> str:
    """Ask as often as there are answers; return all that the page said, notices among it."""
    said = []
    for number, words in enumerate(
        ("Whole.", "refuses the key", "cut off", "refused the question")
    ):
        page.locator("#prompt textarea").fill(f"Question {number}")
        page.keyboard.press("Enter")
        page.locator("#chat", has_text=words).wait_for()
        said.append(page.content())
    return "\n".join(said)


def connect(page: Page, key: str, words: str) -> str:
    page.locator("#own-key input").fill(key)
    page.locator("#own-test").click()
    page.locator("#own-notice", has_text=words).wait_for()
    assert page.locator("#own-key input").input_value() == ""
    return page.content()


def read(url: str) -> str:
    with urllib.request.urlopen(url) as response:
        return str(response.read().decode())


def test_no_key_is_told_anywhere(visitor: Visitor, tmp_path: Path) -> None:
    log, temporary = tmp_path / "log", tmp_path / "temporary"
    found: dict[str, str] = {}
    with scripted_endpoint(*answers()) as ours, scripted_endpoint(*answers()) as theirs:
        sessions: list[str] = []

        def list_models(exchange: Exchange) -> None:
            if key_of(exchange) == VISITORS:
                exchange.reply(200, {"object": "list", "data": [card("one"), card("two")]})
            else:
                refusing(exchange)

        theirs.models = list_models
        options = ("--endpoint", ours.url, "--visitor-endpoints", theirs.url)
        with started(log, temporary, *options) as url:
            page = visitor.open(url)
            received: list[Any] = []
            page.on("response", lambda response: received.append(response))
            page.on(
                "request",
                lambda request: (
                    "queue/join" in request.url
                    and sessions.append(json.loads(request.post_data or "{}")["session_hash"])
                ),
            )
            page.get_by_role("tab", name="Chat").click()
            found["page with the operator's endpoint"] = ask_four_times(page)
            page.get_by_text("Answer with your own endpoint").click()
            found["page with a wrong key"] = connect(page, WRONG, "refuses the key")
            found["page with a key"] = connect(page, VISITORS, "Connected")
            page.locator("#own-use").click()
            page.locator("#own-notice", has_text="answers now: one").wait_for()
            page.get_by_role("button", name="New conversation").click()
            page.locator("#chat", has_text="Whole.").wait_for(state="detached")
            found["page with the visitor's endpoint"] = ask_four_times(page)
            found["what the browser keeps"] = page.evaluate(STORED)
            # Gradio would write down what a session's components hold, for whoever asks
            with pytest.raises(urllib.error.HTTPError, match="404"):
                read(f"{url}/gradio_api/deep_link?session_hash={sessions[-1]}")
            for path in ("/", "/config", "/gradio_api/info", "/openapi.json", "/gradio_api/runs"):
                try:
                    found[path] = read(url + path)
                except OSError as error:
                    found[path] = str(error)
            for response in received:
                if response.url.startswith(url) and response.request.resource_type != "script":
                    found[f"response {len(found)} of {response.url}"] = body_of(response)
            page.context.close()
        for file in temporary.rglob("*"):
            if file.is_file():
                found[str(file)] = file.read_bytes().decode("utf-8", "replace")
        found["log"] = log.read_text()
    # the keys were where they belong, and the browser kept the conversation
    assert {a.headers["authorization"] for a in ours.asked} == {f"Bearer {OPERATORS}"}
    assert {a.headers["authorization"] for a in theirs.asked} == {f"Bearer {VISITORS}"}
    assert f"Bearer {WRONG}" in {a.headers["authorization"] for a in theirs.listed}
    assert "Question 0" in found["what the browser keeps"]
    assert "cut off" in found["log"]
    assert not any("deep_links" in where for where in found)
    told = {
        where: [key for key in KEYS if key in text]
        for where, text in found.items()
        if any(key in text for key in KEYS)
    }
    assert told == {}


def body_of(response: Any) -> str:
    try:
        return str(response.text())
    except Exception:
        return ""  # of a stream that the page left
