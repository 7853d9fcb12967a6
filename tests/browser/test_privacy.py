"""What one visitor of a served page can get at of another's, over HTTP alone: nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from media_files import make_image
from scripted_backend import END, ScriptedBackend

from model.backends.base import AnswerDelta

pytestmark = pytest.mark.browser

SECRET = "the-plan-is-a-secret"


class Caller:
    """Somebody who calls the page without a browser."""

    def __init__(self, url: str, session: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        self.session = session
        self.path = ""  # of a file of theirs
        config = self.get("/config").json()
        self.components = {c["id"]: c for c in config["components"]}
        self.events = config["dependencies"]

    def get(self, path: str) -> httpx.Response:
        return self._http.get(path)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self._http.post(path, json=body)

    def upload(self, path: str) -> str:
        with open(path, "rb") as file:
            return self._http.post("/gradio_api/upload", files={"files": file}).json()[0]

    def find(self, name: str) -> int:
        """Return the number of the event whose handler has this name."""
        return next(e["id"] for e in self.events if e["api_name"] == name)

    def ask(self, name: str, data: list[Any], session: str = "", **more: Any) -> list[Any]:
        """Raise an event, as the page does; return what came, the last first."""
        session = session or self.session
        body = {"fn_index": self.find(name), "data": data, "session_hash": session, **more}
        joined = self.post("/gradio_api/queue/join", **body)
        assert joined.status_code == 200, joined.text
        messages = []
        with self._http.stream(
            "GET", "/gradio_api/queue/data", params={"session_hash": session}
        ) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    messages.append(json.loads(line[6:]))
                    if messages[-1]["msg"] in ("process_completed", "close_stream"):
                        break
        return messages[::-1]

    def data_for(self, name: str, **values: Any) -> list[Any]:
        """Return the inputs of an event: those given by the type of their component, and None."""
        event = next(e for e in self.events if e["api_name"] == name)
        return [values.get(self.components[i]["type"]) for i in event["inputs"]]


@pytest.fixture(scope="module")
def served(serve_for_all: Callable[..., str]) -> str:
    return serve_for_all(ScriptedBackend([AnswerDelta("Understood."), END]), places=4)


@pytest.fixture(scope="module")
def owner(served: str, tmp_path_factory: pytest.TempPathFactory) -> Caller:
    """Somebody who has asked about a file of theirs."""
    owner = Caller(served, "owner12345")
    path = owner.upload(make_image(tmp_path_factory.mktemp("own") / "private.png"))
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    asked = owner.data_for("ask", multimodaltextbox={"text": SECRET, "files": [file]})
    said = owner.ask("ask", asked, event_data=None)
    assert SECRET in json.dumps(said) and said[0]["success"]
    owner.path = path
    return owner


@pytest.fixture(scope="module")
def other(served: str, owner: Caller) -> Caller:
    """Somebody else, who comes afterwards."""
    return Caller(served, "other67890")


def test_the_owner_is_still_in_their_conversation(owner: Caller) -> None:
    assert SECRET in json.dumps(
        owner.ask(
            "ask",
            owner.data_for("ask", multimodaltextbox={"text": "Again", "files": []}),
            event_data=None,
        )
    )


def test_a_session_of_ones_own_has_nothing_of_anothers(other: Caller) -> None:
    said = other.ask(
        "ask", other.data_for("ask", multimodaltextbox={"text": "Hi", "files": []}), event_data=None
    )
    assert said[0]["success"] and SECRET not in json.dumps(said)


def test_a_call_without_a_session_has_nothing_of_anothers(other: Caller) -> None:
    for event in other.events:
        if event["backend_fn"] and event["api_name"] in ("ask", "alter", "settle", "come_back"):
            data = [None] * len(event["inputs"])
            said = other.post("/gradio_api/run/" + event["api_name"], data=data)
            assert SECRET not in said.text
            said = other.post(
                "/gradio_api/run/" + event["api_name"],
                data=data,
                fn_index=event["id"],
                session_hash=other.session,
            )
            assert SECRET not in said.text


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/config",
        "/gradio_api/info",
        "/gradio_api/openapi.json",
        "/gradio_api/queue/status",
        "/gradio_api/startup-events",
        "/gradio_api/runs",
        "/monitoring",
        "/monitoring/summary",
        "/gradio_api/run-history/buckets",
        "/gradio_api/profiling/traces",
    ],
)
def test_no_public_address_names_anothers_session_words_or_files(
    address: str, owner: Caller, other: Caller
) -> None:
    text = other.get(address).text
    for part in (SECRET, owner.session, Path(owner.path).parent.name, "private.png"):
        assert part not in text


def test_how_busy_the_page_is_and_how_it_is_used_is_not_told(other: Caller) -> None:
    assert other.get("/monitoring").status_code == 403
    assert other.get("/monitoring/summary").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/proc/self/environ",
        "{root}/app.py",
        "{root}/README.md",
        "{uploads}",
        "{uploads}/../secret.txt",
        "{uploads}/%2e%2e/secret.txt",
        "..%2f..%2fetc%2fpasswd",
        "file:///etc/passwd",
        "{root}/assets/examples/../../app.py",
        "{root}/assets/bundled/config.json",
    ],
)
def test_only_uploads_and_examples_are_served(path: str, owner: Caller, other: Caller) -> None:
    uploads = Path(owner.path).parents[1]
    (uploads.parent / "secret.txt").write_text(SECRET)
    root = Path(__file__).parents[2]
    address = "/gradio_api/file=" + path.format(root=root, uploads=uploads)
    assert other.get(address).status_code in (403, 404)


def test_a_file_is_named_so_that_nobody_can_guess_it(owner: Caller, tmp_path: Path) -> None:
    content = Path(owner.path).read_bytes()
    assert hashlib.sha256(content).hexdigest() not in owner.path
    assert len(Path(owner.path).parent.name) == 64


def test_a_path_that_was_not_uploaded_is_no_file_of_a_question(other: Caller) -> None:
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    asked = other.data_for("ask", multimodaltextbox={"text": "Read it", "files": [file]})
    assert not other.ask("ask", asked, event_data=None)[0]["success"]
    record = {"record": {}, "keys": ["a/0"]}
    restored = other.data_for(
        "restore", json=record, multimodaltextbox={"text": "", "files": [file]}
    )
    assert not other.ask("restore", restored)[0]["success"]


def test_functions_of_components_are_not_to_be_called(other: Caller) -> None:
    for component in other.components:
        body = {"data": "/etc", "component_id": component, "fn_name": "ls", "session_hash": "x"}
        assert other.post("/gradio_api/component_server", **body).status_code in (404, 500)
