"""A visitor's own endpoint: one of the operator's addresses, with a key of the visitor's.

The key goes from the field into the backend of that visitor's session and nowhere else: not into
what Gradio remembers of a session's components, which can be saved under a link.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr
from gradio.data_classes import GradioRootModel
from pydantic import ConfigDict, SecretStr

from model.backends.base import BackendError
from model.backends.endpoint import EndpointBackend
from model.backends.endpoint.errors import FOR_VISITORS
from ui.answering import as_sentence
from ui.language import in_both, say
from ui.rendering.markdown import to_markdown
from ui.wiring import PRIVATE

# Each has a thread and looks at its server once a minute.
MOST_AT_ONCE = 64
MOST_TESTS_AT_ONCE = 8
# A person waits for the test.
CONNECT_TIMEOUT_S = 5.0
MAX_NAME_CHARACTERS = 200
SMALL: dict[str, Any] = {"size": "sm", "scale": 0, "min_width": 150}

LABEL = "Answer with your own endpoint"
EXPLANATION = (
    "Grounding and Chat can be answered by one of these servers, with a key of your own; Agent "
    "keeps to this page's model. The key stays in the memory of this page's server until you stop "
    "using it or connect again, or for an hour after you close this tab."
)
NOT_ALLOWED = "This page does not connect to that address."
CONNECTED = "Connected. Choose a model, then Use it."
UNLISTED = "Connected, but the server lists no models: type the name of one, then Use it."
TEST_FIRST = "Test the connection first."
NAME_FIRST = "Choose a model first."
IN_USE = "Your own endpoint answers now: {model}."
STOPPED = "This page's own model answers again. Your key is forgotten."


class ConnectionView(NamedTuple):
    """What is shown of the connection after a step, and what the session keeps."""

    tested: EndpointBackend | None
    own: EndpointBackend | None  # the one that answers
    models: tuple[str, ...] | None  # to choose from; None leaves them as they are
    notice: str


class Connection:
    """Handlers of the fold: plain values in, plain values out.

    Args:
        addresses: those that may be connected to, and no others.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = tuple(addresses)
        self._open: deque[EndpointBackend] = deque()
        self._lock = threading.Lock()

    def test(
        self,
        address: Any,
        key: str,
        tested: EndpointBackend | None,
        own: EndpointBackend | None,
    ) -> ConnectionView:
        """Connect, and tell which models there are or what is wrong; ``own`` answers as before."""
        if tested is not own:
            let_go(tested)
        if address not in self.addresses:
            return ConnectionView(own, own, None, say(NOT_ALLOWED))
        try:
            backend = EndpointBackend(
                address,
                api_key=key.strip(),
                connect_timeout_s=CONNECT_TIMEOUT_S,
                advice=FOR_VISITORS,
            )
        except ValueError as error:
            return ConnectionView(own, own, None, as_sentence(error))
        try:
            models = backend.list_models()
        except BackendError as error:
            let_go(backend)
            return ConnectionView(own, own, None, as_sentence(error))
        self._remember(backend)
        return ConnectionView(backend, own, models, say(CONNECTED if models else UNLISTED))

    def use(
        self, model: Any, tested: EndpointBackend | None, own: EndpointBackend | None
    ) -> ConnectionView:
        """Let the connection that was tested answer from now on."""
        name = str(model or "").strip()[:MAX_NAME_CHARACTERS]
        if tested is None or tested.is_closed:
            return ConnectionView(None, own, None, say(TEST_FIRST))
        if not name:
            return ConnectionView(tested, own, None, say(NAME_FIRST))
        if own is not tested:
            let_go(own)
        tested.choose_model(name)
        return ConnectionView(tested, tested, None, say(IN_USE, model=name))

    def stop(self, tested: EndpointBackend | None, own: EndpointBackend | None) -> ConnectionView:
        """Let the page's model answer again, and forget the key."""
        let_go(tested)
        let_go(own)
        return ConnectionView(None, None, None, say(STOPPED))

    def _remember(self, backend: EndpointBackend) -> None:
        """Close the oldest where there are too many: sessions may end without a word."""
        with self._lock:
            self._open = deque(each for each in self._open if not each.is_closed)
            self._open.append(backend)
            surplus = self._open.popleft() if len(self._open) > MOST_AT_ONCE else None
        let_go(surplus)


def let_go(backend: EndpointBackend | None) -> None:
    """End a connection, and with it all that knows its key; the caller does not wait for it."""
    if backend is not None:
        threading.Thread(target=backend.close, daemon=True).start()


class _Key(GradioRootModel):
    """A key as it comes from the browser. Gradio remembers what ``model_dump`` returns."""

    model_config = ConfigDict(hide_input_in_errors=True)
    root: SecretStr

    def model_dump(self, **kwargs: Any) -> Any:
        return ""


def _open_key(key: _Key | None) -> str:
    return "" if key is None else key.root.get_secret_value()


def _make_key_field() -> gr.Textbox:
    field = gr.Textbox(
        label="Key",
        type="password",
        placeholder="Empty if it wants none",
        html_attributes=gr.InputHTMLAttributes(autocomplete="new-password", spellcheck=False),
        elem_id="own-key",
    )
    # not a subclass: Gradio writes a stub file beside the module of every subclass of a component
    field.data_model = _Key
    field.preprocess = _open_key  # type: ignore[method-assign, assignment]
    return field


def build_connection(addresses: Sequence[str]) -> gr.State:
    """Put the fold on the page; return the visitor's own backend, None until one is used."""
    own = gr.State(None, delete_callback=let_go)
    tested = gr.State(None, delete_callback=let_go)
    with gr.Accordion(LABEL, open=False, elem_id="own-endpoint"):
        gr.HTML(f"<p>{in_both(EXPLANATION)}</p>")
        with gr.Row():
            address = gr.Dropdown(
                [*addresses], value=addresses[0], label="Address", elem_id="own-address"
            )
            key = _make_key_field()
        with gr.Row():
            test = gr.Button("Test connection", elem_id="own-test", **SMALL)
        notice = gr.Markdown(elem_id="own-notice", elem_classes="notice")
        with gr.Row(visible=False) as choosing:
            model = gr.Dropdown([], label="Model", allow_custom_value=True, elem_id="own-model")
        with gr.Row():
            use = gr.Button("Use it", variant="primary", visible=False, elem_id="own-use", **SMALL)
            stop = gr.Button("Stop using it", visible=False, elem_id="own-stop", **SMALL)
    connection = Connection(addresses)

    def show(view: ConnectionView) -> tuple[Any, ...]:
        is_connected, models = view.tested is not None, view.models
        return (
            "",
            view.tested,
            view.own,
            gr.Row(visible=is_connected),
            gr.skip()
            if models is None
            else gr.Dropdown([*models], value=models[0] if models else None),
            gr.Button(visible=is_connected),
            gr.Button(visible=view.own is not None),
            to_markdown(view.notice),
        )

    shown = [key, tested, own, choosing, model, use, stop, notice]
    settings: dict[str, Any] = {
        **PRIVATE,
        "show_progress": "minimal",
        "show_progress_on": notice,
        "concurrency_id": "connection",
        "concurrency_limit": MOST_TESTS_AT_ONCE,
    }
    for event in (test.click, key.submit):
        event(
            lambda *given: show(connection.test(*given)),
            [address, key, tested, own],
            shown,
            **settings,
        )
    use.click(lambda *given: show(connection.use(*given)), [model, tested, own], shown, **settings)
    stop.click(lambda *given: show(connection.stop(*given)), [tested, own], shown, **settings)
    return own
