"""How an answer is generated: a checkpoint's defaults, and what one request makes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from model.config import Glm4vMoeConfig
from model.sampling import Sampling
from model.thinking_budget import ThinkingBudget, Thought

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoeForConditionalGeneration


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """A checkpoint's defaults for generation, as in ``generation_config.json``.

    Attributes:
        sampling: how tokens are picked.
        eos_token_id: tokens that end an answer.
        pad_token_id: fills up rows that ended early.
    """

    sampling: Sampling = Sampling()
    eos_token_id: tuple[int, ...] = ()
    pad_token_id: int | None = None

    @classmethod
    def from_model_config(cls, config: Glm4vMoeConfig) -> GenerationConfig:
        """Greedy, with the stop and padding tokens that ``config.json`` names."""
        text = config.text_config
        eos = (
            text.eos_token_id if text.eos_token_id is not None else config.extra.get("eos_token_id")
        )
        return cls(eos_token_id=_as_tuple(eos), pad_token_id=text.pad_token_id)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> GenerationConfig:
        """Read ``generation_config.json`` in ``path``; what it lacks is in ``config.json``."""
        base = cls.from_model_config(Glm4vMoeConfig.from_pretrained(path))
        file = Path(path) / "generation_config.json"
        if not file.is_file():
            return base
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file} is not valid JSON ({error}); download it again") from error
        names = ("do_sample", "temperature", "top_k", "top_p", "repetition_penalty")
        values = {name: raw[name] for name in names if raw.get(name) is not None}
        # two ways in which files say "greedy" and "no limit"
        if values.get("temperature") == 0:
            values |= {"do_sample": False, "temperature": 1.0}
        values["top_k"] = max(values.get("top_k", 0), 0)
        eos = _as_tuple(raw.get("eos_token_id")) or base.eos_token_id
        pad = raw.get("pad_token_id", base.pad_token_id)
        return cls(Sampling(**values), eos, pad)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``generation_config.json``."""
        neutral = asdict(Sampling())
        chosen = {k: v for k, v in asdict(self.sampling).items() if v != neutral[k]}
        raw: dict[str, Any] = {"do_sample": self.sampling.do_sample, **chosen}
        if self.eos_token_id:
            raw["eos_token_id"] = list(self.eos_token_id)
        if self.pad_token_id is not None:
            raw["pad_token_id"] = self.pad_token_id
        return raw


def _as_tuple(ids: int | Sequence[int] | None) -> tuple[int, ...]:
    if ids is None:
        return ()
    return (ids,) if isinstance(ids, int) else tuple(ids)


@dataclass(frozen=True, slots=True)
class Plan:
    """How one request is answered, with the checkpoint's defaults filled in.

    Attributes:
        sampling: how tokens are picked.
        eos_token_id: tokens that end the answer.
        pad_token_id: fills up rows that ended early.
        max_new_tokens: at most so many; 0 for none.
        seed: makes sampling repeatable; None for another draw each time.
        thinking: how long a thought may be; None for as long as it likes.
    """

    sampling: Sampling
    eos_token_id: tuple[int, ...]
    pad_token_id: int
    max_new_tokens: int
    seed: int | None
    thinking: ThinkingBudget | None = None

    def thought(self, prompt: torch.Tensor) -> Thought | None:
        """Return what watches over the thought of a (T,) ``prompt``'s answer, if one does."""
        if self.thinking is None:
            return None
        return Thought(self.thinking, prompt.tolist(), self.eos_token_id)

    def generator(self, device: torch.device) -> torch.Generator | None:
        """Return the request's own source of randomness, None if nothing is drawn."""
        if not self.sampling.do_sample:
            return None
        generator = torch.Generator(device=device)
        if self.seed is None:
            generator.seed()
        else:
            generator.manual_seed(self.seed)
        return generator


def make_plan(
    model: Glm4vMoeForConditionalGeneration,
    prompt_tokens: int,
    *,
    max_new_tokens: int | None = None,
    do_sample: bool | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    repetition_penalty: float | None = None,
    eos_token_id: int | Sequence[int] | None = None,
    seed: int | None = None,
    thinking: ThinkingBudget | None = None,
) -> Plan:
    """Return the plan for a prompt; None means the checkpoint's default.

    Args:
        model: whose ``generation_config`` and context count.
        prompt_tokens: its length.
        max_new_tokens: None for as many as the context holds.
        do_sample: as `Sampling`; so are the next four.
        eos_token_id: tokens that stop a row.
        seed: makes sampling repeatable.
        thinking: how long a thought may be; None for as long as it likes.

    Raises:
        ValueError: a setting is out of range.
    """
    if max_new_tokens is not None and max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be 0 or more, got {max_new_tokens}")
    if thinking is not None and thinking.written > prompt_tokens:
        raise ValueError(
            f"the prompt has {prompt_tokens} tokens, {thinking.written} can't be of the answer"
        )
    defaults = model.generation_config
    given: dict[str, Any] = {
        "do_sample": do_sample,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "repetition_penalty": repetition_penalty,
    }
    sampling = replace(defaults.sampling, **{k: v for k, v in given.items() if v is not None})
    eos = defaults.eos_token_id if eos_token_id is None else _as_tuple(eos_token_id)
    pad = defaults.pad_token_id
    if pad is None:
        pad = eos[0] if eos else 0
    room = model.config.text_config.max_position_embeddings - prompt_tokens
    steps = room if max_new_tokens is None else min(max_new_tokens, room)
    return Plan(sampling, eos, pad, steps, seed, thinking)
