"""What servers of the OpenAI protocol call the same things: one request, in each one's words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from model.backends.base import SamplingOptions


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a kind of server understands besides the protocol's core.

    Attributes:
        thinking: how thinking is switched: "template" (an argument of the chat template), "zai"
            (a field of that name), or "none".
        has_raw_tokens: whether it can be told to keep special tokens, such as those around boxes.
        has_top_k: whether it takes ``top_k`` and ``repetition_penalty``.
        has_seed: whether it takes ``seed``.
        has_logprobs: whether it tells the probabilities of the tokens that it generates.
        scales_logprobs: whether these are those after the temperature was applied.
        has_usage_option: whether it must be asked to count tokens.
        continuing: how it goes on with an answer: "template" (the chat template renders the answer,
            with its thought closed, and is cut off behind it), "prefix" (the answer is written
            behind the prompt as it is, so that a thought can be gone on with too), or "none".
    """

    name: str
    thinking: str
    has_raw_tokens: bool = False
    has_top_k: bool = False
    has_seed: bool = True
    has_logprobs: bool = True
    scales_logprobs: bool = False
    has_usage_option: bool = True
    continuing: str = "none"


# protocol.py of each engine, serving_chat.py of SGLang;
# docs.z.ai/api-reference/llm/chat-completion
VLLM = Dialect("vllm", "template", has_raw_tokens=True, has_top_k=True, continuing="template")
SGLANG = Dialect(
    "sglang",
    "template",
    has_raw_tokens=True,
    has_top_k=True,
    scales_logprobs=True,
    continuing="prefix",
)
ZAI = Dialect("zai", "zai", has_seed=False, has_logprobs=False, has_usage_option=False)
OPENAI = Dialect("openai", "none")
# what most servers understand; what one refuses is left out (``refused_fields``)
UNKNOWN = Dialect("auto", "template", has_raw_tokens=True, has_top_k=True)

DIALECTS = {dialect.name: dialect for dialect in (UNKNOWN, VLLM, SGLANG, ZAI, OPENAI)}

HOSTS = {"z.ai": ZAI, "bigmodel.cn": ZAI, "openai.com": OPENAI}

# fields that a server may do without, and other words by which it may complain of one
OPTIONAL_FIELDS = {
    "chat_template_kwargs": ("enable_thinking",),
    "thinking": (),
    "skip_special_tokens": (),
    "stream_options": ("include_usage",),
    "logprobs": (),
    "top_k": (),
    "repetition_penalty": (),
    "seed": (),
    "do_sample": (),
}


def detect(base_url: str, owners: Iterable[str]) -> Dialect:
    """Guess a server's dialect from its address, and from the owners of the models it lists.

    vLLM and SGLang write their own names there.
    """
    host = urlsplit(base_url).hostname or ""
    for domain, dialect in HOSTS.items():
        if host == domain or host.endswith("." + domain):
            return dialect
    names = {owner.lower() for owner in owners}
    return next((dialect for dialect in (VLLM, SGLANG) if dialect.name in names), UNKNOWN)


def request_fields(
    dialect: Dialect, options: SamplingOptions, *, enable_thinking: bool, goes_on: bool = False
) -> dict[str, Any]:
    """Return the fields of a request besides model and messages.

    Options that are None are left to the server, and so are those that it does not know.

    Args:
        goes_on: whether the last message is an answer that is to be gone on with.
    """
    fields: dict[str, Any] = {
        "max_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
    }
    if dialect.has_top_k:
        fields |= {"top_k": options.top_k, "repetition_penalty": options.repetition_penalty}
    if dialect.has_seed:
        fields["seed"] = options.seed
    if dialect.has_raw_tokens:
        fields["skip_special_tokens"] = False
    if dialect.has_usage_option:
        fields["stream_options"] = {"include_usage": True}
    if dialect.has_logprobs and (not dialect.scales_logprobs or options.temperature in (0, 1)):
        fields["logprobs"] = True
    if dialect.thinking == "template":
        fields["chat_template_kwargs"] = {"enable_thinking": enable_thinking}
    elif dialect.thinking == "zai":
        fields["thinking"] = {"type": "enabled" if enable_thinking else "disabled"}
        # it takes no temperature of 0
        if options.temperature == 0:
            fields |= {"temperature": None, "do_sample": False}
    if goes_on:
        fields["continue_final_message"] = True
        # vLLM refuses both together; SGLang does not know the second
        if dialect.continuing == "template":
            fields["add_generation_prompt"] = False
    return {name: value for name, value in fields.items() if value is not None}


def refused_fields(complaint: str, sent: Iterable[str]) -> set[str]:
    """Return the fields that a server complains of, among those sent that it can do without."""
    refused = set()
    for field in OPTIONAL_FIELDS.keys() & set(sent):
        words = "|".join((field, *OPTIONAL_FIELDS[field]))
        if re.search(rf"(?<!\w)({words})(?!\w)", complaint):
            refused.add(field)
    return refused


def most_images(dialect: Dialect, model: str) -> int | None:
    """Return how many pictures a conversation may hold; None where that is not known.

    Z.ai takes 50 for GLM-4.5V and 150 for later ones (docs.z.ai, chat completion, ``image_url``).
    """
    if dialect is not ZAI:
        return None
    return 50 if re.search(r"glm-?4\.?5v", model.lower()) else 150


def thinking_suffix(model: str, refused: Iterable[str], *, enable_thinking: bool) -> str:
    """Return what to write behind the newest question where the thinking switch was refused.

    GLM-4.5V and GLM-4.6V do not think about a question that ends in ``/nothink``; the switch of
    their chat templates writes the same.
    """
    knows_it = re.search(r"glm-?4\.?[56]", model.lower()) is not None
    is_needed = not enable_thinking and "chat_template_kwargs" in set(refused)
    return "/nothink" if is_needed and knows_it else ""
