"""An endpoint on the command line and in the environment; what is refused before the start."""

from __future__ import annotations

import pytest
from scripted_endpoint import scripted_endpoint

import app
from model.backends.base import Reply, SamplingOptions
from model.backends.endpoint import EndpointBackend

KEY = "sk-planted-0123456789"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "MODEL",
        "ENDPOINT",
        "ENDPOINT_MODEL",
        "ENDPOINT_FAMILY",
        "ENDPOINT_KEY",
        "MAX_CONVERSATIONS",
    ):
        monkeypatch.delenv(f"SIGHTLINE_{name}", raising=False)


def test_without_an_endpoint_a_model_of_this_machine_answers() -> None:
    settings = app.read_settings([])
    assert app.connect(settings) is None


def test_address_and_model_may_come_from_the_environment_and_the_key_only_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted_endpoint() as endpoint:
        monkeypatch.setenv("SIGHTLINE_ENDPOINT", endpoint.url)
        monkeypatch.setenv("SIGHTLINE_ENDPOINT_MODEL", "other")
        monkeypatch.setenv("SIGHTLINE_ENDPOINT_KEY", f"{KEY}\n")
        settings = app.read_settings([])
        assert KEY not in repr(settings)
        backend = app.connect(settings)
        assert isinstance(backend, EndpointBackend)
        reply = Reply()
        for event in backend.stream(
            [{"role": "user", "content": "Hi"}], enable_thinking=False, options=SamplingOptions()
        ):
            reply.add(event)
        backend.close()
    assert reply.answer == "Yes."
    assert endpoint.asked[0].body["model"] == "other"
    assert endpoint.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_family_of_a_model_may_be_told_where_its_name_does_not_tell() -> None:
    with scripted_endpoint() as endpoint:
        address = ["--endpoint", endpoint.url, "--endpoint-model", "prod-7"]
        plain = app.connect(app.read_settings(address))
        told = app.connect(app.read_settings([*address, "--endpoint-family", "gemini"]))
        assert isinstance(plain, EndpointBackend)
        assert isinstance(told, EndpointBackend)
        assert (plain.model_name, told.model_name) == ("prod-7", "gemini")
        plain.close()
        told.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--endpoint", "http://127.0.0.1:9/v1", "--endpoint-family", "prod-7"],
            "how that family writes coordinates is not known",
        ),
        (["--endpoint", "localhost:8000"], "--endpoint: 'localhost:8000' is no address"),
        (["--endpoint", "http://me:secret@host/v1"], "SIGHTLINE_ENDPOINT_KEY"),
        (["--endpoint", "http://host/v1", "--model", "zai-org/GLM-4.5V"], "exclude each other"),
        (["--endpoint-model", "other"], "give its address as --endpoint"),
    ],
)
def test_options_that_make_no_sense_end_the_start_with_a_sentence(
    arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit, match=words) as caught:
        app.connect(app.read_settings(arguments))
    assert "secret" not in str(caught.value)


def test_a_key_that_cannot_be_sent_ends_the_start_without_telling_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGHTLINE_ENDPOINT_KEY", f"{KEY} and more")
    with pytest.raises(SystemExit, match="SIGHTLINE_ENDPOINT_KEY holds characters") as caught:
        app.connect(app.read_settings(["--endpoint", "http://host/v1"]))
    assert KEY not in str(caught.value)


def test_visitors_are_offered_no_endpoint_unless_the_operator_lists_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SIGHTLINE_VISITOR_ENDPOINTS", raising=False)
    assert app.check_endpoints(app.read_settings([]).visitor_endpoints) == ()
    monkeypatch.setenv("SIGHTLINE_VISITOR_ENDPOINTS", "http://gpu:8000/v1, https://api.z.ai/v4,")
    listed = app.read_settings([]).visitor_endpoints
    assert app.check_endpoints(listed) == ("http://gpu:8000/v1", "https://api.z.ai/v4")


@pytest.mark.parametrize(
    "listed", ["gpu:8000", "http://me:secret@host/v1", "http://ok/v1,nonsense"]
)
def test_an_address_for_visitors_that_is_none_ends_the_start_with_a_sentence(listed: str) -> None:
    with pytest.raises(SystemExit, match="--visitor-endpoints: ") as caught:
        app.check_endpoints(listed)
    assert "secret" not in str(caught.value)
