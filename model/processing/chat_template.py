"""Render a conversation with the checkpoint's own chat template, or ours where it has none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from model.processing.checkpoint_files import (
    find_folder,
    read_json,
    read_processor_settings,
    uses_glm46v_rules,
)

FALLBACKS = Path(__file__).parent / "templates"


class ChatTemplate:
    """A compiled chat template. Rendering is sandboxed: a template is code from the internet.

    Args:
        source: the Jinja text, written for transformers' settings.

    Raises:
        ValueError: the text is not a valid template.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"the chat template does not compile: {error}") from error

    @classmethod
    def from_pretrained(cls, path_or_hub_id: str | Path) -> ChatTemplate:
        """Read chat_template.jinja, chat_template.json or tokenizer_config.json, else fall back."""
        folder = find_folder(path_or_hub_id)
        return cls(_own_source(folder) or fallback_source(folder))

    @property
    def knows_reasoning(self) -> bool:
        """True when the template places ``reasoning_content`` itself."""
        return "reasoning_content" in self.source

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        enable_thinking: bool = True,
        marker: str = "",
    ) -> str:
        """Return the prompt text.

        Args:
            messages: as ``read_messages`` returns them.
            tools: JSON schemas of the functions that the model may call.
            add_generation_prompt: end with the opening of the assistant's turn.
            enable_thinking: False asks for an answer without a thought, where the model can.
            marker: a character that the texts may contain and that JSON must not escape.

        Raises:
            ValueError: the template refuses the conversation.
        """
        try:
            return self._template.render(
                messages=messages,
                tools=tools or None,
                add_generation_prompt=add_generation_prompt,
                enable_thinking=enable_thinking,
                marker=marker,
            )
        except (jinja2.TemplateError, TypeError, AttributeError) as error:
            raise ValueError(f"the chat template cannot render this: {error}") from error


def fallback_source(folder: Path) -> str:
    """Return our own template of the model that the checkpoint's files describe.

    GLM-4.6V names its processor; GLM-4.1V is the other dense model; GLM-4.5V is the default.
    """
    config = read_json(folder, "config.json") or {}
    if uses_glm46v_rules(
        read_processor_settings(folder, "image"),
        read_json(folder, "processor_config.json"),
        read_json(folder, "tokenizer_config.json"),
    ):
        name = "glm46v"
    else:
        name = "glm41v" if config.get("model_type") == "glm4v" else "glm45v"
    return (FALLBACKS / f"{name}.jinja").read_text(encoding="utf-8")


def _own_source(folder: Path) -> str | None:
    """Return the template that the checkpoint ships, if it ships one."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        source = (read_json(folder, name) or {}).get("chat_template")
        if isinstance(source, list):  # several named templates
            source = {entry["name"]: entry["template"] for entry in source}.get("default")
        if source:
            return source
    return None


@jinja2.pass_context
def _to_json(
    context: jinja2.runtime.Context,
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Write JSON as transformers does: Jinja's own filter escapes HTML, which no model saw."""
    text = json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
    marker = context.get("marker")
    return text.replace(json.dumps(marker)[1:-1], marker) if marker else text


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)
