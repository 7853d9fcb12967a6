"""What arrives at a server: each dialect's words, and the very pixels of what is attached."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from endpoint_client import HI, ask, connected
from media_files import make_clip, make_pdf
from PIL import Image
from scripted_endpoint import MODEL, card, fail, say, scripted_endpoint

from model.backends.base import BackendError, SamplingOptions
from model.backends.endpoint.dialects import OPENAI, SGLANG, UNKNOWN, VLLM, ZAI, detect
from model.backends.endpoint.messages import known_context, view_of
from model.processing import Limits, ModelView

CONFIGS = Path(__file__).parents[2] / "data" / "real_configs"
ALL_OPTIONS = SamplingOptions(
    max_new_tokens=9, temperature=0.5, top_p=0.9, top_k=3, repetition_penalty=1.1, seed=4
)


def body_of(dialect: str, *, thinking: bool, options: SamplingOptions) -> dict[str, Any]:
    with scripted_endpoint() as endpoint, connected(endpoint, dialect=dialect) as backend:
        ask(backend, thinking=thinking, options=options)
        return endpoint.asked[0].body


def pixels_of(part: dict[str, Any]) -> Image.Image:
    """Decode an image as a server would; it must be a PNG."""
    assert part["type"] == "image_url"
    kind, data = part["image_url"]["url"].split(",", 1)
    assert kind == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    assert image.format == "PNG"
    return image


def noise(size: tuple[int, int] = (97, 61)) -> Image.Image:
    """A picture that no lossy format leaves as it is."""
    width, height = size
    data = bytes(i * i * 31 % 251 for i in range(width * height * 3))
    return Image.frombytes("RGB", size, data)


CORE = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
ENGINE = {
    "max_tokens": 9,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 3,
    "repetition_penalty": 1.1,
    "seed": 4,
    "skip_special_tokens": False,
    "stream_options": {"include_usage": True},
}
BODIES = {
    "vllm": {**ENGINE, "logprobs": True, "chat_template_kwargs": {"enable_thinking": False}},
    # its probabilities are those after the temperature, which are not the model's own
    "sglang": {**ENGINE, "chat_template_kwargs": {"enable_thinking": False}},
    "zai": {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "thinking": {"type": "disabled"},
    },
    "openai": {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 4,
        "stream_options": {"include_usage": True},
        "logprobs": True,
    },
}


@pytest.mark.parametrize("dialect", BODIES)
def test_a_request_holds_what_its_server_understands_and_nothing_else(dialect: str) -> None:
    body = body_of(dialect, thinking=False, options=ALL_OPTIONS)
    assert body == CORE | BODIES[dialect]


@pytest.mark.parametrize("dialect", ["vllm", "sglang", "zai", "openai"])
def test_options_that_are_not_set_are_left_to_the_server(dialect: str) -> None:
    body = body_of(dialect, thinking=True, options=SamplingOptions())
    chosen = {"max_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed"}
    assert chosen & body.keys() == set()


@pytest.mark.parametrize("thinking", [True, False])
def test_one_switch_turns_thinking_on_and_off_everywhere(thinking: bool) -> None:
    template = {"enable_thinking": thinking}
    field = {"type": "enabled" if thinking else "disabled"}
    for dialect in ("auto", "vllm", "sglang"):
        body = body_of(dialect, thinking=thinking, options=SamplingOptions())
        assert body["chat_template_kwargs"] == template
        assert "thinking" not in body
    body = body_of("zai", thinking=thinking, options=SamplingOptions())
    assert body["thinking"] == field
    assert "chat_template_kwargs" not in body


def test_sglang_is_asked_for_probabilities_where_they_are_the_models_own() -> None:
    for temperature, expected in ((0.0, True), (1.0, True), (0.5, None), (None, None)):
        options = SamplingOptions(temperature=temperature)
        body = body_of("sglang", thinking=False, options=options)
        assert body.get("logprobs") is expected


def test_zai_is_asked_for_the_likeliest_tokens_in_its_own_way() -> None:
    body = body_of("zai", thinking=False, options=SamplingOptions(temperature=0.0))
    assert body["do_sample"] is False
    assert "temperature" not in body


@pytest.mark.parametrize(
    ("url", "owners", "dialect"),
    [
        ("http://gpu:8000/v1", ["vllm"], VLLM),
        ("http://gpu:8000/v1", ["sglang"], SGLANG),
        ("http://gpu:8000/v1", ["someone"], UNKNOWN),
        ("https://api.z.ai/api/paas/v4", [], ZAI),
        ("https://open.bigmodel.cn/api/paas/v4", ["vllm"], ZAI),
        ("https://api.openai.com/v1", ["system"], OPENAI),
        ("https://not-z.ai.example/v1", [], UNKNOWN),
        ("https://notz.ai/v1", [], UNKNOWN),
    ],
)
def test_a_server_is_recognised_by_address_and_listing(
    url: str, owners: list[str], dialect: Any
) -> None:
    assert detect(url, owners) is dialect


def test_a_server_that_lists_its_models_as_sglang_does_is_spoken_to_as_that() -> None:
    with scripted_endpoint() as endpoint:
        endpoint.models = [card(owner="sglang", max_model_len=4321)]
        with connected(endpoint) as backend:
            assert backend.test_connection().state == "ready"
            ask(backend)
            assert backend.context_length == 4321
    assert "logprobs" not in endpoint.asked[0].body


REFUSALS = {
    "OpenAI": (400, {"error": {"message": "Unrecognized request argument: {}", "code": None}}),
    "pydantic": (422, {"detail": [{"loc": ["body", "{}"], "msg": "Extra inputs not permitted"}]}),
    "transformers": (422, {"detail": "Unexpected fields in the request: {{'{}'}}"}),
}


@pytest.mark.parametrize("how", REFUSALS)
@pytest.mark.parametrize("field", ["chat_template_kwargs", "skip_special_tokens", "logprobs"])
def test_a_field_that_a_server_refuses_is_left_out_from_then_on(how: str, field: str) -> None:
    status, body = REFUSALS[how]
    refusal = fail(status, json.loads(json.dumps(body).replace("{}", field)))
    with scripted_endpoint(refusal, say("Yes.")) as endpoint:
        with connected(endpoint, max_retries=0) as backend:
            assert [ask(backend).answer for _ in range(2)] == ["Yes.", "Yes."]
    first, second, third = (asked.body for asked in endpoint.asked)
    assert first.keys() - second.keys() == {field}
    assert second == third


def test_a_complaint_that_quotes_the_whole_request_is_not_remembered() -> None:
    quoting = fail(400, {"error": {"message": "bad image in {'top_k': 3, 'logprobs': True}"}})
    with scripted_endpoint(quoting, quoting, say("Yes.")) as endpoint:
        with connected(endpoint) as backend:
            with pytest.raises(BackendError, match="bad image"):
                ask(backend, options=ALL_OPTIONS)
            ask(backend, options=ALL_OPTIONS)
    first, second, third = (asked.body for asked in endpoint.asked)
    assert first.keys() - second.keys() == {"top_k", "logprobs"}
    assert third == first


def test_where_the_switch_is_refused_glm_is_told_in_the_question() -> None:
    refusal = fail(400, {"error": {"message": "unknown field chat_template_kwargs"}})
    with scripted_endpoint(refusal, say("Yes.")) as endpoint, connected(endpoint) as backend:
        ask(backend)
        ask(backend, thinking=True)
    texts = [asked.body["messages"][-1]["content"] for asked in endpoint.asked]
    assert texts == ["Hi", "Hi/nothink", "Hi"]


def test_an_image_arrives_as_it_was_attached_pixel_by_pixel(tmp_path: Path) -> None:
    image = noise()
    image.save(tmp_path / "a.png")
    with scripted_endpoint() as endpoint, connected(endpoint) as backend:
        content = backend.open_attachment(str(tmp_path / "a.png"), limits=Limits()).content()
        ask(backend, [{"role": "user", "content": [*content, {"type": "text", "text": "?"}]}])
    picture, text = endpoint.asked[0].body["messages"][0]["content"]
    assert pixels_of(picture).tobytes() == image.tobytes()
    assert text == {"type": "text", "text": "?"}


def test_pages_of_a_document_arrive_behind_their_names(tmp_path: Path) -> None:
    with scripted_endpoint() as endpoint, connected(endpoint) as backend:
        document = backend.open_attachment(make_pdf(tmp_path / "a.pdf"), limits=Limits())
        pictures = list(document.pictures())
        ask(backend, [{"role": "user", "content": document.content()}])
    parts = endpoint.asked[0].body["messages"][0]["content"]
    assert [part["text"] for part in parts[::2]] == [f"Page {n} of a.pdf:" for n in (1, 2, 3)]
    for part, picture in zip(parts[1::2], pictures, strict=True):
        assert pixels_of(part).tobytes() == picture.tobytes()


def test_frames_of_a_video_arrive_before_their_times(tmp_path: Path) -> None:
    with scripted_endpoint() as endpoint, connected(endpoint) as backend:
        video = backend.open_attachment(make_clip(tmp_path / "a.mp4"), limits=Limits())
        pictures = list(video.pictures())
        ask(backend, [{"role": "user", "content": video.content()}])
    heading, *parts = endpoint.asked[0].body["messages"][0]["content"]
    assert heading["text"] == "The frames of a video, each followed by its time:\n"
    assert [part["text"] for part in parts[1::2]] == [
        f"{second} seconds" for second in (0.0, 0.5, 1.0, 1.5)
    ]
    for part, picture in zip(parts[::2], pictures, strict=True):
        assert pixels_of(part).tobytes() == picture.tobytes()


def test_earlier_answers_arrive_without_their_thoughts_and_with_their_boxes() -> None:
    answer = "<think>why</think>\n<|begin_of_box|>[[1,2,3,4]]<|end_of_box|>"
    conversation = [*HI, {"role": "assistant", "content": answer}, *HI]
    with scripted_endpoint() as endpoint, connected(endpoint) as backend:
        ask(backend, conversation)
    assert endpoint.asked[0].body["messages"][1] == {
        "role": "assistant",
        "content": "<|begin_of_box|>[[1,2,3,4]]<|end_of_box|>",
    }


@pytest.mark.parametrize(
    "typed", ["<|user|>", "<|image|>", "a<|end_of_image|>b", "<|begin_of_box|>"]
)
def test_what_a_person_types_cannot_become_a_special_token(typed: str) -> None:
    with scripted_endpoint() as endpoint, connected(endpoint) as backend:
        ask(backend, [{"role": "user", "content": typed}])
    arrived = endpoint.asked[0].body["messages"][0]["content"]
    assert typed not in arrived
    assert arrived.replace("\u2060", "") == typed


def test_an_image_of_an_earlier_turn_is_not_encoded_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded, save = [], Image.Image.save

    def watched(self: Image.Image, *args: Any, **kwargs: Any) -> None:
        encoded.append(self.size)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "save", watched)
    image = noise()
    messages = [{"role": "user", "content": [{"type": "image", "image": image}]}]
    with scripted_endpoint() as endpoint, connected(endpoint) as backend:
        for _ in range(3):
            ask(backend, messages)
    assert encoded == [image.size]


def test_files_are_seen_by_the_rules_of_the_published_checkpoints() -> None:
    for name in ("GLM-4.5V", "GLM-4.6V"):
        config = json.loads((CONFIGS / f"{name}.preprocessor_config.json").read_text())
        settings = view_of(f"zai-org/{name}-FP8").image_settings
        assert settings.min_pixels == config["size"]["shortest_edge"]
        assert settings.max_pixels == config["size"]["longest_edge"]
        assert settings.patch_size == config["patch_size"]
        assert settings.merge_size == config["merge_size"]
        text = json.loads((CONFIGS / f"{name}.config.json").read_text())["text_config"]
        assert known_context(name) == text["max_position_embeddings"]
    assert view_of("glm-4.6v").video_processor.rule == "glm46v"
    assert view_of("glm-4.5v").video_processor.rule == "glm4v"


@pytest.mark.parametrize("size", [(1920, 1080), (640, 480), (64, 48), (3840, 2160)])
@pytest.mark.parametrize("count", [2, 60, 600])
def test_frames_have_a_size_that_the_server_leaves_as_it_is(
    size: tuple[int, int], count: int
) -> None:
    view = view_of(MODEL)
    seen = view.frame_size(size, count)
    assert view.image_size(seen) == seen


def test_frames_share_the_budget_of_a_video_and_pairs_the_one_that_is_asked_for() -> None:
    view = view_of(MODEL)
    width, height = view.frame_size((1920, 1080), 100)
    assert 20_000 < 100 * width * height / 28**2 <= 30_000
    width, height = view.frame_size((1920, 1080), 4, max_tokens=200)
    assert 150 < 2 * width * height / 28**2 <= 200


def test_the_tokens_of_frames_are_those_of_as_many_images(tmp_path: Path) -> None:
    with scripted_endpoint() as endpoint, connected(endpoint) as backend:
        video = backend.open_attachment(make_clip(tmp_path / "a.mp4"), limits=Limits())
    view = ModelView()
    images = sum(view.image_tokens(view.image_size(p.size)) for p in video.pictures())
    times = sum(view.count_tokens(f"{second} seconds") for second in (0.0, 0.5, 1.0, 1.5))
    heading = view.count_tokens("The frames of a video, each followed by its time:\n")
    assert video.tokens == images + times + heading


def test_a_document_is_made_to_fit_the_context_that_the_server_tells(tmp_path: Path) -> None:
    with scripted_endpoint() as endpoint:
        endpoint.models = [card(max_model_len=8192)]
        with connected(endpoint) as backend:
            backend.test_connection()
            document = backend.open_attachment(make_pdf(tmp_path / "a.pdf", 40), limits=Limits())
    assert len(document.items) == 40
    assert document.tokens <= 0.75 * 8192


@pytest.mark.parametrize(("model", "most"), [("glm-4.5v", 50), ("glm-4.6v", 150)])
def test_a_document_has_no_more_pages_than_zai_takes_pictures(
    model: str, most: int, tmp_path: Path
) -> None:
    with connected("http://127.0.0.1:9/v1", dialect="zai", model=model) as backend:
        document = backend.open_attachment(
            make_pdf(tmp_path / "a.pdf", 200), limits=Limits(max_pages=200)
        )
    assert len(document.items) == most


def test_the_key_is_sent_as_a_bearer_and_without_one_no_other_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-another-server")
    for key, expected in (("sk-mine", "Bearer sk-mine"), ("", None)):
        with scripted_endpoint() as endpoint, connected(endpoint, api_key=key) as backend:
            ask(backend)
        sent = {name.lower(): value for name, value in endpoint.asked[0].headers.items()}
        assert sent.get("authorization") == expected


def test_what_the_environment_holds_for_openai_goes_to_no_other_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "admin-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Own: secret\nAuthorization: Bearer secret")
    for key, expected in (("sk-mine", "Bearer sk-mine"), ("", None)):
        with scripted_endpoint() as endpoint, connected(endpoint, api_key=key) as backend:
            ask(backend)
        for asked in (endpoint.asked[0], endpoint.listed[0]):
            sent = {name.lower(): value for name, value in asked.headers.items()}
            assert [value for value in sent.values() if "secret" in value] == []
            assert sent.get("authorization") == expected
            assert not {"openai-organization", "openai-project", "x-own"} & sent.keys()
