"""The page in a real Chromium: the app as users start it, or a page with a scripted backend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from processes import free_port, wait_for
from visitor import Visitor

import app
from model.backends.base import ChatBackend
from ui import PageSettings, build_ui
from ui.visitors.admission import admit
from ui.wiring import worker_threads

ROOT = Path(__file__).parents[2]
# two processes of tests share two cores with their browsers and models
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of ``python app.py`` with the bundled model, in a process of its own."""
    port = free_port()
    elsewhere = tmp_path_factory.mktemp("elsewhere")  # the app must not need a certain folder
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "--port", str(port)],
        cwd=elsewhere,
        env={**os.environ, "GRADIO_TEMP_DIR": str(elsewhere / "gradio")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    wait_for(url, process)
    yield url
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.fail("these tests drive Chromium, which is not here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    visitor = Visitor(browser)
    yield visitor
    visitor.close()
    assert visitor.complaints == []


@contextmanager
def serving(folder: Path) -> Iterator[Callable[..., str]]:
    """Give a function that serves a page, with its temporary files in ``folder``, until the end.

    It takes a backend, a number of places, a login and settings, and returns the page's address;
    with ``mcp`` the page's tools are served too.
    """
    pages: list[gr.Blocks] = []

    def start(
        backend: ChatBackend,
        places: int = 1,
        *,
        mcp: bool = False,
        auth: tuple[str, str] | None = None,
        **more: Any,
    ) -> str:
        settings = PageSettings(thinking=False, max_conversations=places, **more)
        backend = admit(backend, settings)
        page = build_ui(backend, settings)
        _, url, _ = page.launch(
            server_port=free_port(),
            prevent_thread_lock=True,
            quiet=True,
            max_file_size=settings.limits.max_bytes,
            max_threads=worker_threads(settings),
            auth=auth,
            app_kwargs=app.make_app_kwargs(mcp, backend, settings, auth),
            **app.LAUNCH,
        )
        pages.append(page)
        return url.rstrip("/").replace("localhost", "127.0.0.1")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        yield start
        for page in pages:
            page.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Serve pages for one test, as ``serving`` does."""
    with serving(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def serve_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Serve pages for all tests of a file, as ``serving`` does."""
    with serving(tmp_path_factory.mktemp("served")) as start:
        yield start
