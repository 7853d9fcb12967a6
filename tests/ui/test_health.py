"""Programs see whether the model can answer, and nothing else."""

from __future__ import annotations

import gradio as gr
import pytest
from fastapi.testclient import TestClient
from scripted_backend import ScriptedBackend
from starlette.applications import Starlette

from app import make_app_kwargs
from model.backends.base import Status
from ui.api.health import tell_health
from ui.settings import PageSettings


@pytest.mark.parametrize(
    ("state", "code"), [("ready", 200), ("loading", 503), ("failed", 503)], ids=str
)
def test_the_state_is_told_without_its_details(state: str, code: int) -> None:
    backend = ScriptedBackend(state=Status(state, "http://10.0.0.3 is gone"))  # type: ignore[arg-type]
    http = TestClient(Starlette(middleware=[tell_health(backend)]))
    answer = http.get("/health")
    assert (answer.status_code, answer.json()) == (code, {"state": state})
    assert http.get("/healthy").status_code == 404


def test_the_page_s_server_has_the_address_and_asks_for_no_login() -> None:
    backend = ScriptedBackend()
    kwargs = make_app_kwargs(False, backend, PageSettings(), ("name", "secret"))
    with gr.Blocks() as page:
        gr.Markdown("page")
    page.auth, page.auth_message = [("name", "secret")], None
    http = TestClient(gr.routes.App.create_app(page, app_kwargs=kwargs))
    assert http.get("/health").json() == {"state": "ready"}
    assert http.get("/config").status_code == 401
