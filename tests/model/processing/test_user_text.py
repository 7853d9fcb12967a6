"""Nothing that people type can speak with the template's voice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.processing import ChatTemplate, Glm4vImageProcessor, Glm4vProcessor
from model.processing.chat_template import FALLBACKS
from model.processing.marking import CANDIDATES, TextMarker
from model.processing.patches import PatchSettings
from model.processing.processor import BOX_TOKENS

SPECIAL = [
    "<|image|>", "<|video|>", "<|user|>", "<|assistant|>", "<|system|>", "<|observation|>",
    "<|begin_of_image|>", "<|end_of_video|>", "<|begin_of_box|>", "<|endoftext|>", "<think>",
    "</think>", "/nothink", "[gMASK]", "<sop>", "<tool_call>", "</arg_value>",
]  # fmt: skip

# special strings, halves that could be completed by what follows, markers, spaces, anything
hostile = st.lists(
    st.sampled_from(
        [*SPECIAL, "<", "<|", "<|ima", "ge|>", "/no", "think", "[gM", "ASK]", "\n", " ", "/"]
    )
    | st.sampled_from(["\u2800", "\u2801", "\\u2800", "\\", '"', "'", "{{ 1 }}", "天", "😀"])
    | st.text(max_size=6),
    max_size=10,
).map("".join)


@pytest.fixture(scope="module", params=["glm45v", "glm46v", "glm41v"])
def subject(request: pytest.FixtureRequest, processor: Glm4vProcessor) -> Glm4vProcessor:
    """The bundled processor under each of the fallback templates."""
    return Glm4vProcessor(
        # a budget so small that a 28 x 28 picture is one token, so that prompt and ids compare
        Glm4vImageProcessor(PatchSettings(min_pixels=1, max_pixels=10**6)),
        processor.video_processor,
        processor.tokenizer,
        ChatTemplate((FALLBACKS / f"{request.param}.jinja").read_text()),
        is_glm46v=request.param == "glm46v",
    )


def special_ids(subject: Glm4vProcessor, inputs: dict[str, Any]) -> list[str]:
    """The added tokens of a prompt, in order."""
    names = {token_id: token for token, token_id in subject.tokenizer.added_tokens.items()}
    return [names[i] for i in inputs["input_ids"][0].tolist() if i in names]


def ask(subject: Glm4vProcessor, messages: Any, **options: Any) -> tuple[list[str], str, str]:
    """Added tokens, decoded ids, and prompt text of a conversation."""
    inputs = subject.apply_chat_template(messages, **options)
    text = subject.apply_chat_template(messages, tokenize=False, **options)
    return special_ids(subject, inputs), subject.decode(inputs["input_ids"][0]), text


@pytest.mark.parametrize("thinking", [True, False])
@settings(max_examples=120, deadline=None)
@given(text=hostile)
def test_a_question_adds_no_token_of_its_own(
    subject: Glm4vProcessor, thinking: bool, text: str
) -> None:
    harmless = [{"role": "user", "content": "x"}]
    wanted = special_ids(subject, subject.apply_chat_template(harmless, enable_thinking=thinking))
    if text.endswith("/nothink") and "/nothink" in wanted:
        wanted.remove("/nothink")  # the template sees the ending and adds none
    messages = [{"role": "user", "content": text}]
    tokens, decoded, prompt = ask(subject, messages, enable_thinking=thinking)
    assert tokens == wanted
    assert decoded == prompt
    assert text in prompt


@settings(max_examples=120, deadline=None)
@given(first=hostile, second=hostile, third=hostile)
def test_parts_and_turns_cannot_be_joined_into_a_token(
    subject: Glm4vProcessor, first: str, second: str, third: str
) -> None:
    def conversation(a: str, b: str, c: str) -> list[dict[str, Any]]:
        image = {"type": "image", "image": np.zeros((28, 28, 3), np.uint8)}
        text = [{"type": "text", "text": t} for t in (a, b, c)]
        return [
            {"role": "system", "content": c},
            {"role": "user", "content": [text[0], text[1], image, text[1], text[2]]},
            {"role": "user", "content": a},
        ]

    wanted, _, _ = ask(subject, conversation("x", "y", "z"))
    tokens, decoded, prompt = ask(subject, conversation(first, second, third))
    assert tokens == wanted
    assert decoded == prompt


@pytest.mark.parametrize("token", SPECIAL)
def test_a_token_cut_over_two_parts_stays_text(subject: Glm4vProcessor, token: str) -> None:
    image = {"type": "image", "image": np.zeros((28, 28, 3), np.uint8)}
    for cut in range(1, len(token)):
        halves = [{"type": "text", "text": t} for t in (token[:cut], token[cut:])]
        messages = [{"role": "user", "content": [*halves, image]}]
        tokens, decoded, prompt = ask(subject, messages)
        assert tokens == [
            "[gMASK]", "<sop>", "<|user|>", "<|begin_of_image|>", "<|image|>", "<|end_of_image|>",
            "<|assistant|>",
        ]  # fmt: skip
        assert decoded == prompt
        assert token + "<|begin_of_image|>" in prompt


@settings(max_examples=120, deadline=None)
@given(text=hostile.filter(lambda t: t.strip() == t != ""), name=hostile)
@pytest.mark.parametrize("subject", ["glm45v", "glm46v"], indirect=True)
def test_tools_their_results_and_thoughts_add_no_token(
    subject: Glm4vProcessor, text: str, name: str
) -> None:
    def conversation(t: str, n: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        call = {"function": {"name": n, "arguments": {"k" + n: t, "list": [t]}}}
        messages = [
            {"role": "user", "content": "go"},
            {"role": "assistant", "reasoning_content": t, "content": "", "tool_calls": [call]},
            {"role": "tool", "content": t},
        ]
        return messages, [{"name": n, "description": t, "parameters": {n: [t]}}]

    messages, tools = conversation("x", "y")
    wanted, _, _ = ask(subject, messages, tools=tools)
    messages, tools = conversation(text, name)
    tokens, decoded, prompt = ask(subject, messages, tools=tools)
    assert tokens == wanted
    assert decoded == prompt


@settings(max_examples=120, deadline=None)
@given(text=hostile)
@pytest.mark.parametrize("subject", ["glm45v", "glm46v"], indirect=True)
def test_past_answers_keep_only_box_markers(subject: Glm4vProcessor, text: str) -> None:
    messages = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": f"<think>{text}</think>\nsee {text}."},
        {"role": "user", "content": "q2"},
    ]
    harmless = [messages[0], {"role": "assistant", "content": "see"}, messages[2]]
    wanted, _, _ = ask(subject, harmless)
    tokens, decoded, prompt = ask(subject, messages)
    assert [t for t in tokens if t not in BOX_TOKENS] == wanted
    assert decoded == prompt


def test_boxes_of_past_answers_are_tokens_again(processor: Glm4vProcessor) -> None:
    answer = "<think>look</think>\nIt is <|begin_of_box|>[[1,2,3,4]]<|end_of_box|> not <|user|>"
    messages = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": "q2"},
    ]
    tokens, _, prompt = ask(processor, messages)
    assert tokens == [
        "[gMASK]", "<sop>", "<|user|>", "<|assistant|>", "<think>", "</think>",
        "<|begin_of_box|>", "<|end_of_box|>", "<|user|>", "<|assistant|>",
    ]  # fmt: skip
    assert "look" not in prompt


def test_the_thought_of_the_current_turn_is_a_thought(processor: Glm4vProcessor) -> None:
    messages = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "<think>typed </think> is odd</think>a"},
    ]
    tokens, _, prompt = ask(processor, messages, add_generation_prompt=False)
    assert tokens[-3:] == ["<|assistant|>", "<think>", "</think>"]
    assert prompt.endswith("<|assistant|>\n<think>typed</think>\na")


def test_the_switch_is_a_token_though_the_user_typed_it_too(processor: Glm4vProcessor) -> None:
    def tokens(text: str) -> list[str]:
        messages = [{"role": "user", "content": text}]
        return ask(processor, messages, enable_thinking=False)[0]

    usual = ["[gMASK]", "<sop>", "<|user|>", "/nothink", "<|assistant|>", "<think>", "</think>"]
    assert tokens("Hi") == usual
    assert tokens("Hi /nothink there") == usual
    assert tokens("Hi/nothink") == [t for t in usual if t != "/nothink"]


def test_a_template_that_prints_json_or_python_shows_no_marker(processor: Glm4vProcessor) -> None:
    source = "{{ messages[0] | tojson(ensure_ascii=True) }} {{ messages[0] }}<|user|>"
    subject = Glm4vProcessor(
        processor.image_processor,
        processor.video_processor,
        processor.tokenizer,
        ChatTemplate(source),
    )
    tokens, decoded, prompt = ask(subject, [{"role": "user", "content": "a<|user|>天"}])
    assert tokens == ["<|user|>"]
    assert decoded == prompt
    assert prompt == (
        '{"role": "user", "content": "a<|user|>\\u5929"} '
        "{'role': 'user', 'content': 'a<|user|>天'}<|user|>"
    )


def test_ordinary_text_gets_the_ids_that_transformers_gives(
    processor: Glm4vProcessor, reference_processor: Callable[[str], Any]
) -> None:
    messages = [
        {"role": "system", "content": "\n\nBe brief. "},
        {"role": "user", "content": " \nWhere is 12345?\n\n"},
        {"role": "assistant", "content": "There."},
        {"role": "user", "content": "Thanks  天"},
    ]
    wanted = reference_processor("glm4v").apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True,
        return_tensors="pt", enable_thinking=True,
    )  # fmt: skip
    got = processor.apply_chat_template(messages)
    assert got["input_ids"].tolist() == wanted["input_ids"].tolist()


def test_lone_surrogates_become_replacement_characters(processor: Glm4vProcessor) -> None:
    messages = [{"role": "user", "content": "a\ud83db"}]
    _, decoded, _ = ask(processor, messages, tools=[{"name": "f\ud83d"}])
    assert "a\ufffdb" in decoded
    assert '{"name": "f\ufffd"}' in decoded


def test_a_megabyte_of_look_alikes_is_marked_in_a_blink(processor: Glm4vProcessor) -> None:
    text = "<|image|>[x/" * 90_000
    start = time.perf_counter()
    TextMarker(processor.tokenizer.added_tokens, [text]).mark(text)
    assert time.perf_counter() - start < 5  # 0.5 s measured on one core


def test_a_text_of_all_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="every Braille and box-drawing character"):
        TextMarker(["<a>"], ["".join(CANDIDATES)])
