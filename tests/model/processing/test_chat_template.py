"""Prompts: the expected texts of three models, and which template a checkpoint gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model.processing import ChatTemplate, Glm4vProcessor
from model.processing.chat_template import FALLBACKS

EXAMPLES = json.loads((Path(__file__).parents[2] / "data" / "chat_examples.json").read_text())
FLAVOURS = {"GLM-4.5V": "glm45v", "GLM-4.6V": "glm46v", "GLM-4.1V": "glm41v"}


def with_template(processor: Glm4vProcessor, source: str, **options: Any) -> Glm4vProcessor:
    """The bundled processor with another template."""
    return Glm4vProcessor(
        processor.image_processor,
        processor.video_processor,
        processor.tokenizer,
        ChatTemplate(source),
        **options,
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e["name"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_fallback_gives_the_expected_prompt(
    flavour: str, example: dict[str, Any], processor: Glm4vProcessor
) -> None:
    source = (FALLBACKS / f"{FLAVOURS[flavour]}.jinja").read_text()
    subject = with_template(processor, source, is_glm46v=flavour == "GLM-4.6V")
    chosen = example["enable_thinking"]
    thinking = {} if chosen is None else {"enable_thinking": chosen}
    prompt = subject.apply_chat_template(
        example["messages"],
        tools=example["tools"],
        add_generation_prompt=example["add_generation_prompt"],
        tokenize=False,
        **thinking,
    )
    assert prompt == example["expected"][flavour]


@pytest.mark.parametrize(
    ("model_type", "processor_class", "flavour"),
    [
        ("glm4v_moe", "Glm4vProcessor", "glm45v"),
        ("glm4v_moe", "Glm46VProcessor", "glm46v"),
        ("glm4v", "Glm46VProcessor", "glm46v"),
        ("glm4v", "Glm4vProcessor", "glm41v"),
        (None, None, "glm45v"),
    ],
)
def test_the_checkpoint_decides_which_fallback(
    model_type: str | None, processor_class: str | None, flavour: str, tmp_path: Path
) -> None:
    if model_type:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
        settings = json.dumps({"processor_class": processor_class})
        (tmp_path / "preprocessor_config.json").write_text(settings)
    template = ChatTemplate.from_pretrained(tmp_path)
    assert template.source == (FALLBACKS / f"{flavour}.jinja").read_text()


def test_real_preprocessor_files_choose_their_template(real_configs: Path, tmp_path: Path) -> None:
    for name, flavour in (("GLM-4.5V", "glm45v"), ("GLM-4.6V", "glm46v")):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("config.json", "preprocessor_config.json"):
            (folder / file).write_text((real_configs / f"{name}.{file}").read_text())
        source = ChatTemplate.from_pretrained(folder).source
        assert source == (FALLBACKS / f"{flavour}.jinja").read_text()


def test_the_checkpoints_own_file_comes_first_then_json_then_the_tokenizer(tmp_path: Path) -> None:
    named = [{"name": "other", "template": "x"}, {"name": "default", "template": "three"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert ChatTemplate.from_pretrained(tmp_path).source == "three"
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "two"}))
    assert ChatTemplate.from_pretrained(tmp_path).source == "two"
    (tmp_path / "chat_template.jinja").write_text("one")
    assert ChatTemplate.from_pretrained(tmp_path).source == "one"


def render(source: str, **variables: Any) -> str:
    return ChatTemplate(source).render([{"role": "user", "content": "a<b>"}], **variables)


def test_blocks_are_trimmed_as_transformers_does() -> None:
    assert render("{% if true %}\n  {% if true %}\nx\n  {% endif %}\n{% endif %}\ny") == "x\ny"


def test_json_is_not_escaped_for_html_and_keeps_its_letters() -> None:
    tool = {"name": "f", "description": "<天> & 'x'"}
    assert render("{{ tools[0] | tojson }}", tools=[tool]) == json.dumps(tool, ensure_ascii=False)
    ascii_json = render("{{ tools[0] | tojson(ensure_ascii=True) }}", tools=[tool])
    assert ascii_json == json.dumps(tool)
    assert "\n  " in render("{{ tools[0] | tojson(indent=2) }}", tools=[tool])


def test_helpers_of_transformers_are_there() -> None:
    assert render("{{ strftime_now('%Y') }}").isdigit()
    with pytest.raises(ValueError, match="cannot render this: tools are not supported"):
        render("{{ raise_exception('tools are not supported') }}")
    assert (
        render("{% for m in [1, 2] %}{% if m == 2 %}{% break %}{% endif %}{{ m }}{% endfor %}")
        == "1"
    )


def test_a_template_cannot_reach_outside_nor_change_the_messages() -> None:
    with pytest.raises(ValueError, match="cannot render"):
        render("{{ messages.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(ValueError, match="cannot render"):
        render("{{ messages.append(1) }}")


def test_a_broken_template_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="does not compile"):
        ChatTemplate("{% if %}")
