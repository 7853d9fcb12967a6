"""Sizes and constants of a Glm4vMoe model, named as in the checkpoint's ``config.json``.

Two generations of ``config.json`` are in use. The first keeps RoPE in ``rope_theta``,
``rope_scaling`` and ``partial_rotary_factor``; the second in one ``rope_parameters`` dictionary.
Both are read into the same attributes, and a config is written back in the form it was read in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

ROPE_TYPES = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
DEFAULT_MROPE_SECTION = (8, 12, 12)
DEFAULT_DTYPE = "bfloat16"

ConfigT = TypeVar("ConfigT", bound="_SubConfig")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return other keys of a config as JSON can hold them: a ``torch.dtype`` by its name."""
    names = ("dtype", "torch_dtype")
    return {
        key: str(value).removeprefix("torch.") if key in names and value is not None else value
        for key, value in values.items()
    }


@dataclass(init=False, kw_only=True)
class _SubConfig:
    """Shared reading and writing; unknown keys are kept in ``extra`` and written back."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    model_type: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def __init__(self, **values: Any) -> None:
        extra = values.pop("extra", {})
        for spec in fields(self):
            if spec.name != "extra":
                setattr(self, spec.name, values.pop(spec.name, spec.default))
        self.extra = _plain({**extra, **values})
        self._check()

    def _check(self) -> None:
        """Raise ValueError for sizes that would fail later and obscurely."""

    @classmethod
    def from_dict(cls: type[ConfigT], raw: Mapping[str, Any]) -> ConfigT:
        """Read a section of ``config.json``; what every real checkpoint states is required."""
        missing = [name for name in cls.REQUIRED if name not in raw]
        if missing:
            raise ValueError(f"config.json lacks {', '.join(missing)} ({cls.__name__})")
        return cls(**raw)

    def to_dict(self) -> dict[str, Any]:
        """Return the section as in ``config.json``."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        return {**own, **self.extra}


def _stated_rope(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is stated of RoPE; null states nothing, and ``type`` is an old ``rope_type``."""
    rope = {key: value for key, value in (given or {}).items() if value is not None}
    if "type" in rope:
        rope.setdefault("rope_type", rope.pop("type"))
    return rope


@dataclass(init=False, kw_only=True)
class Glm4vMoeTextConfig(_SubConfig):
    """Sizes of the language decoder. The defaults are those documented for GLM-4.5V.

    ``head_dim=None`` stands for ``hidden_size / num_attention_heads``; where that is not whole, as
    in GLM-4.5V (4096 / 96), it is 128.

    RoPE is described by ``rope_parameters``; ``rope_theta``, ``partial_rotary_factor`` and
    ``rope_scaling``, the first generation's keys, are accepted as arguments and read from there.
    """

    REQUIRED: ClassVar[tuple[str, ...]] = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "moe_intermediate_size",
        "n_routed_experts",
        "n_shared_experts",
        "num_experts_per_tok",
        "first_k_dense_replace",
        "rms_norm_eps",
        "max_position_embeddings",
    )

    model_type: str = "glm4v_moe_text"
    vocab_size: int = 151424
    hidden_size: int = 4096
    intermediate_size: int = 10944
    num_hidden_layers: int = 46
    num_attention_heads: int = 96
    num_key_value_heads: int = 8
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 65536
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-5
    use_cache: bool = True
    tie_word_embeddings: bool = False
    rope_parameters: dict[str, Any] = field(default_factory=dict)
    attention_bias: bool = True
    attention_dropout: float = 0.0
    moe_intermediate_size: int = 1408
    num_experts_per_tok: int = 8
    n_shared_experts: int = 1
    n_routed_experts: int = 128
    routed_scaling_factor: float = 1.0
    n_group: int = 1
    topk_group: int = 1
    first_k_dense_replace: int = 1
    norm_topk_prob: bool = True
    pad_token_id: int | None = None
    eos_token_id: int | list[int] | None = None

    def __init__(self, **values: Any) -> None:
        new = _stated_rope(values.pop("rope_parameters", None))
        old = _stated_rope(values.pop("rope_scaling", None))
        if any(new[key] != old[key] for key in new.keys() & old.keys()):
            raise ValueError(
                f"rope_parameters {new} and rope_scaling {old} contradict each other; keep one"
            )
        # the first generation is written back as such: remember which one this is
        self._second_generation = bool(new)
        rope = {**old, **new}
        rope.setdefault("rope_type", "default")
        for name, default in (("rope_theta", 10000.0), ("partial_rotary_factor", 0.5)):
            value = values.pop(name, None)
            rope.setdefault(name, default if value is None else value)
        rope.setdefault("mrope_section", list(DEFAULT_MROPE_SECTION))
        super().__init__(rope_parameters=rope, **values)

    @property
    def rope_theta(self) -> float:
        """Base of the RoPE frequencies."""
        return self.rope_parameters["rope_theta"]

    @property
    def partial_rotary_factor(self) -> float:
        """Share of a head's dimensions that are rotated."""
        return self.rope_parameters["partial_rotary_factor"]

    @property
    def rope_scaling(self) -> dict[str, Any]:
        """Type of RoPE and its constants, without the base and the share."""
        kept = {"rope_theta", "partial_rotary_factor"}
        return {key: value for key, value in self.rope_parameters.items() if key not in kept}

    def _check(self) -> None:
        if self.head_dim is None:
            whole = self.hidden_size % self.num_attention_heads == 0
            self.head_dim = self.hidden_size // self.num_attention_heads if whole else 128
        self._check_attention()
        self._check_experts()

    def _check_attention(self) -> None:
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads ({self.num_attention_heads}) must be a multiple of "
                f"num_key_value_heads ({self.num_key_value_heads})"
            )
        rope_type = self.rope_parameters["rope_type"]
        if rope_type not in ROPE_TYPES:
            raise ValueError(f"rope_type {rope_type!r} is unknown; known: {', '.join(ROPE_TYPES)}")
        section = self.rope_parameters["mrope_section"]
        if sum(section) * 2 != self.rotary_dim:
            raise ValueError(
                f"mrope_section {list(section)} must sum to {self.rotary_dim // 2}, half of the "
                f"{self.rotary_dim} rotated dimensions (head_dim {self.head_dim} x "
                f"partial_rotary_factor {self.partial_rotary_factor})"
            )

    def _check_experts(self) -> None:
        if self.n_routed_experts % self.n_group:
            raise ValueError(
                f"n_routed_experts ({self.n_routed_experts}) must be a multiple of "
                f"n_group ({self.n_group})"
            )
        size = self.n_routed_experts // self.n_group
        if self.n_group > 1 and size < 2:
            raise ValueError(
                f"n_group ({self.n_group}) leaves {size} expert in a group; a group is judged by "
                "its two best"
            )
        available = self.topk_group * size
        kept_groups = 1 <= self.topk_group <= self.n_group
        if not kept_groups or not 1 <= self.num_experts_per_tok <= available:
            raise ValueError(
                f"num_experts_per_tok ({self.num_experts_per_tok}) experts can't be chosen from "
                f"topk_group ({self.topk_group}) of {self.n_group} groups, {available} experts"
            )

    @property
    def rotary_dim(self) -> int:
        """Dimensions of a head that are rotated; the others pass unchanged."""
        assert self.head_dim is not None
        return int(self.head_dim * self.partial_rotary_factor)

    def to_dict(self) -> dict[str, Any]:
        """Return the section as in ``config.json``, RoPE in the generation it was read in."""
        # in both generations: GLM-4.6V's own file has it in both places
        raw = {**super().to_dict(), "partial_rotary_factor": self.partial_rotary_factor}
        if self._second_generation:
            return raw
        raw.pop("rope_parameters")
        return {**raw, "rope_theta": self.rope_theta, "rope_scaling": self.rope_scaling}


@dataclass(init=False, kw_only=True)
class Glm4vMoeVisionConfig(_SubConfig):
    """Sizes of the vision tower. The defaults are those of GLM-4.5V.

    The inner width of a block's feed-forward layer is ``out_hidden_size``; ``intermediate_size`` is
    that of the merger.
    """

    REQUIRED: ClassVar[tuple[str, ...]] = (
        "depth",
        "hidden_size",
        "num_heads",
        "intermediate_size",
        "out_hidden_size",
        "image_size",
        "patch_size",
    )

    model_type: str = "glm4v_moe_vision"
    depth: int = 24
    hidden_size: int = 1536
    hidden_act: str = "silu"
    attention_bias: bool = False
    attention_dropout: float = 0.0
    num_heads: int = 12
    in_channels: int = 3
    image_size: int = 336
    patch_size: int = 14
    rms_norm_eps: float = 1e-5
    spatial_merge_size: int = 2
    temporal_patch_size: int = 2
    out_hidden_size: int = 4096
    intermediate_size: int = 10944
    initializer_range: float = 0.02

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)

    def _check(self) -> None:
        # both axes take a quarter of a head's dimensions for their angles
        if self.hidden_size % (4 * self.num_heads):
            raise ValueError(
                f"vision hidden_size ({self.hidden_size}) must be a multiple of "
                f"4 x num_heads ({self.num_heads})"
            )

    @property
    def patch_dim(self) -> int:
        """Values of one patch: channels x frames x rows x columns."""
        return self.in_channels * self.temporal_patch_size * self.patch_size**2


def _section(kind: type[ConfigT], given: object) -> ConfigT:
    """Return a section given as an object, as a dictionary, or not at all."""
    if isinstance(given, kind):
        return given
    if given is None or isinstance(given, Mapping):
        return kind(**(given or {}))
    raise TypeError(f"expected {kind.__name__} or a dictionary, got {type(given).__name__}")


class Glm4vMoeConfig:
    """Everything ``config.json`` says of a Glm4vMoe model.

    Args:
        text_config: object or dictionary; None for the documented defaults.
        vision_config: object or dictionary; None for GLM-4.5V's.
        image_token_id: placeholder of one merged image patch, also inside videos.
        video_token_id: placeholder of a video in prompt text; never reaches the network.
        image_start_token_id, image_end_token_id: around the tokens of an image or a video frame.
        video_start_token_id, video_end_token_id: around all frames of a video.
        extra: any other key of ``config.json``; kept and written back.
    """

    model_type = "glm4v_moe"

    def __init__(
        self,
        text_config: Glm4vMoeTextConfig | Mapping[str, Any] | None = None,
        vision_config: Glm4vMoeVisionConfig | Mapping[str, Any] | None = None,
        image_token_id: int = 151363,
        video_token_id: int = 151364,
        image_start_token_id: int = 151339,
        image_end_token_id: int = 151340,
        video_start_token_id: int = 151341,
        video_end_token_id: int = 151342,
        **extra: Any,
    ) -> None:
        self.text_config = _section(Glm4vMoeTextConfig, text_config)
        self.vision_config = _section(Glm4vMoeVisionConfig, vision_config)
        self.image_token_id = image_token_id
        self.video_token_id = video_token_id
        self.image_start_token_id = image_start_token_id
        self.image_end_token_id = image_end_token_id
        self.video_start_token_id = video_start_token_id
        self.video_end_token_id = video_end_token_id
        extra.pop("model_type", None)
        # files of the first weeks keep it in the text section
        self.tie_word_embeddings = bool(
            extra.pop("tie_word_embeddings", False) or self.text_config.tie_word_embeddings
        )
        self.extra = _plain(extra)

    @property
    def dtype(self) -> str:
        """Name of the checkpoint's dtype: real files state it in ``text_config`` or on top."""
        for section in (self.text_config.extra, self.extra):
            for key in ("dtype", "torch_dtype"):
                if section.get(key):
                    return section[key]
        return DEFAULT_DTYPE

    def switch(self, name: str, given: bool | None) -> bool:
        """Return ``given``, or what the config says of an output switch such as ``return_dict``."""
        return bool(self.extra.get(name, name == "return_dict")) if given is None else given

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``config.json``."""
        return {
            "architectures": ["Glm4vMoeForConditionalGeneration"],
            **self.extra,
            "model_type": self.model_type,
            "text_config": self.text_config.to_dict(),
            "vision_config": self.vision_config.to_dict(),
            "image_token_id": self.image_token_id,
            "video_token_id": self.video_token_id,
            "image_start_token_id": self.image_start_token_id,
            "image_end_token_id": self.image_end_token_id,
            "video_start_token_id": self.video_start_token_id,
            "video_end_token_id": self.video_end_token_id,
            "tie_word_embeddings": self.tie_word_embeddings,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Glm4vMoeConfig:
        """Read the content of ``config.json``.

        Raises:
            ValueError: another model's file, a section missing, or a size missing in a section.
        """
        found = raw.get("model_type")
        if found != cls.model_type:
            raise ValueError(
                f"config.json describes a model of type {found!r}; this engine runs "
                f"{cls.model_type!r} (GLM-4.5V, GLM-4.6V)"
            )
        values = dict(raw)
        for name, section in (
            ("text_config", Glm4vMoeTextConfig),
            ("vision_config", Glm4vMoeVisionConfig),
        ):
            if not isinstance(values.get(name), Mapping):
                raise ValueError(f"config.json has no {name}; is it a complete GLM-4.5V config?")
            values[name] = section.from_dict(values[name])
        return cls(**values)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Glm4vMoeConfig:
        """Read ``config.json`` from a folder, or the given file itself."""
        path = Path(path)
        file = path if path.suffix == ".json" else path / "config.json"
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} does not exist; a checkpoint folder needs its config.json"
            )
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file} is not valid JSON ({error}); download it again") from error
        return cls.from_dict(raw)

    def save_pretrained(self, path: str | Path) -> None:
        """Write ``config.json`` into the folder ``path``, creating it if needed."""
        Path(path).mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"
        (Path(path) / "config.json").write_text(text, encoding="utf-8")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Glm4vMoeConfig) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Glm4vMoeConfig({self.to_dict()})"
