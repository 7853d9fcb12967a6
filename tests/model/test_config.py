"""Reading and writing config.json, in both generations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny import tiny_config, tiny_text_config, tiny_vision_config

from model.config import Glm4vMoeConfig, Glm4vMoeTextConfig, Glm4vMoeVisionConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration

REAL = Path(__file__).parents[1] / "data" / "real_configs"
MOE_CONFIGS = ["GLM-4.5V", "GLM-4.5V-FP8", "GLM-4.6V", "GLM-4.6V-FP8"]

# elements of all tensors of the real checkpoint, of which 45 x 128 are the balancing biases
REAL_ELEMENTS = 107_710_933_120


@pytest.mark.parametrize("name", MOE_CONFIGS)
def test_real_configs_build_with_exactly_the_real_parameter_count(name: str) -> None:
    config = Glm4vMoeConfig.from_pretrained(REAL / f"{name}.config.json")
    with torch.device("meta"):
        model = Glm4vMoeForConditionalGeneration(config)
    assert sum(tensor.numel() for tensor in model.state_dict().values()) == REAL_ELEMENTS
    assert sum(p.numel() for p in model.parameters()) == REAL_ELEMENTS - 45 * 128


@pytest.mark.parametrize(
    ("name", "theta", "context"), [("GLM-4.5V", 1e4, 65536), ("GLM-4.6V", 5e5, 131072)]
)
def test_both_generations_of_rope_keys_are_read(name: str, theta: float, context: int) -> None:
    config = Glm4vMoeConfig.from_pretrained(REAL / f"{name}.config.json")
    text = config.text_config
    assert text.rope_parameters is not None
    assert text.rope_theta == theta
    assert text.rope_parameters["mrope_section"] == [8, 12, 12]
    assert text.rotary_dim == 64
    assert text.max_position_embeddings == context
    assert config.dtype == "bfloat16"


@pytest.mark.parametrize("name", MOE_CONFIGS)
def test_a_real_config_is_written_back_with_the_same_content(name: str, tmp_path: Path) -> None:
    raw = json.loads((REAL / f"{name}.config.json").read_text())
    Glm4vMoeConfig.from_dict(raw).save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert Glm4vMoeConfig.from_dict(written) == Glm4vMoeConfig.from_dict(raw)
    for section in ("text_config", "vision_config"):
        for key, value in raw[section].items():
            assert written[section][key] == value, key
    for key, value in raw.items():
        if not isinstance(value, dict) or key == "quantization_config":
            assert written[key] == value, key


def test_transformers_reads_what_is_written(tmp_path: Path) -> None:
    from transformers import Glm4vMoeConfig as Reference

    for rope in (
        {"rope_theta": 777.0},
        {
            "rope_theta": None,
            "rope_scaling": None,
            "partial_rotary_factor": None,
            "rope_parameters": {
                "rope_type": "linear",
                "factor": 2.0,
                "rope_theta": 777.0,
                "partial_rotary_factor": 0.5,
                "mrope_section": [1, 1, 2],
            },
        },
    ):
        ours = Glm4vMoeConfig(**tiny_config(text=rope))
        ours.save_pretrained(tmp_path)
        theirs = Reference.from_pretrained(tmp_path).text_config
        assert theirs.rope_parameters == ours.text_config.rope_parameters
        assert theirs.rope_parameters["rope_theta"] == 777.0
        assert theirs.head_dim == ours.text_config.head_dim


def test_documented_defaults() -> None:
    config = Glm4vMoeConfig()
    text = config.text_config
    assert (config.image_token_id, config.video_token_id) == (151363, 151364)
    assert (config.image_start_token_id, config.image_end_token_id) == (151339, 151340)
    assert (config.video_start_token_id, config.video_end_token_id) == (151341, 151342)
    assert (text.vocab_size, text.hidden_size, text.intermediate_size) == (151424, 4096, 10944)
    assert (text.num_hidden_layers, text.num_attention_heads, text.num_key_value_heads) == (
        46,
        96,
        8,
    )
    assert (text.moe_intermediate_size, text.n_routed_experts, text.num_experts_per_tok) == (
        1408,
        128,
        8,
    )
    assert (text.n_shared_experts, text.first_k_dense_replace, text.n_group, text.topk_group) == (
        1,
        1,
        1,
        1,
    )
    assert (text.routed_scaling_factor, text.norm_topk_prob, text.attention_bias) == (
        1.0,
        True,
        True,
    )
    assert (text.partial_rotary_factor, text.rope_theta, text.head_dim) == (0.5, 10000.0, 128)
    assert (text.max_position_embeddings, text.rms_norm_eps, text.hidden_act) == (
        65536,
        1e-5,
        "silu",
    )
    assert (config.vision_config.depth, config.vision_config.out_hidden_size) == (24, 4096)


def test_sections_may_be_objects_or_dictionaries() -> None:
    as_objects = Glm4vMoeConfig(
        Glm4vMoeTextConfig(**tiny_text_config()), Glm4vMoeVisionConfig(**tiny_vision_config())
    )
    as_dicts = Glm4vMoeConfig(tiny_text_config(), tiny_vision_config())
    assert as_objects == as_dicts


@pytest.mark.parametrize("where", ["text", "old text", "top", "old top", "nowhere"])
def test_the_dtype_is_found_wherever_a_file_states_it(where: str) -> None:
    raw = tiny_config(model_type="glm4v_moe")
    key = "torch_dtype" if "old" in where else "dtype"
    if "text" in where:
        raw["text_config"][key] = "float16"
    elif "top" in where:
        raw[key] = "float16"
    want = "bfloat16" if where == "nowhere" else "float16"
    assert Glm4vMoeConfig.from_dict(raw).dtype == want


def test_old_files_that_tie_embeddings_in_the_text_section_are_understood() -> None:
    assert Glm4vMoeConfig(**tiny_config(text={"tie_word_embeddings": True})).tie_word_embeddings


@pytest.mark.parametrize("key", ["hidden_size", "num_key_value_heads", "n_routed_experts"])
def test_a_size_missing_in_a_file_is_an_error(key: str) -> None:
    raw = tiny_config(model_type="glm4v_moe")
    del raw["text_config"][key]
    with pytest.raises(ValueError, match=f"config.json lacks {key}"):
        Glm4vMoeConfig.from_dict(raw)


def test_another_models_file_is_named() -> None:
    with pytest.raises(ValueError, match="type 'glm4v'; this engine runs 'glm4v_moe'"):
        Glm4vMoeConfig.from_pretrained(REAL / "GLM-4.6V-Flash.config.json")


def test_a_folder_without_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json does not exist"):
        Glm4vMoeConfig.from_pretrained(tmp_path)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "glm4v_moe"')
    with pytest.raises(ValueError, match="is not valid JSON"):
        Glm4vMoeConfig.from_pretrained(tmp_path)


BAD_TEXT = {
    "heads not in groups": ({"num_key_value_heads": 3}, "must be a multiple of"),
    "unknown rope": ({"rope_scaling": {"rope_type": "spiral"}}, "rope_type 'spiral' is unknown"),
    "sections that don't fit": (
        {"rope_scaling": {"rope_type": "default", "mrope_section": [8, 12, 12]}},
        "must sum to 4",
    ),
    "experts not in groups": ({"n_group": 3}, "n_routed_experts .8. must be a multiple"),
    "one expert in a group": ({"n_group": 8, "topk_group": 4}, "leaves 1 expert in a group"),
    "no expert at all": ({"num_experts_per_tok": 0}, "can't be chosen"),
    "too few experts in the groups": ({"n_group": 4, "topk_group": 1}, "can't be chosen"),
}


@pytest.mark.parametrize(("change", "message"), BAD_TEXT.values(), ids=BAD_TEXT.keys())
def test_sizes_that_contradict_each_other_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Glm4vMoeTextConfig(**tiny_text_config(**change))


def test_contradicting_generations_of_rope_are_refused() -> None:
    new = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 5.0}
    with pytest.raises(ValueError, match="contradict each other"):
        Glm4vMoeTextConfig(**tiny_text_config(rope_parameters=new))


@pytest.mark.parametrize("type_key", ["rope_type", "type"])
def test_rope_parameters_win_over_a_rope_scaling_that_says_the_same(type_key: str) -> None:
    new = {
        "rope_type": "default",
        "mrope_section": [1, 1, 2],
        "rope_theta": 5.0,
        "partial_rotary_factor": 0.5,
    }
    old = {type_key: "default", "mrope_section": [1, 1, 2]}
    text = Glm4vMoeTextConfig(**tiny_text_config(rope_parameters=new, rope_scaling=old))
    assert text.rope_parameters == new


@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
def test_a_rope_value_that_is_null_is_taken_from_the_section(key: str) -> None:
    rope = {
        "rope_type": "default",
        "mrope_section": None,
        "rope_theta": None,
        "partial_rotary_factor": None,
    }
    values = {"rope_parameters": None, "rope_scaling": None, "head_dim": 128, "rope_theta": 5e5}
    text = Glm4vMoeTextConfig(
        **tiny_text_config(**{**values, key: rope, "partial_rotary_factor": 0.5})
    )
    assert text.rope_theta == 5e5
    assert text.partial_rotary_factor == 0.5
    assert text.rope_parameters["mrope_section"] == [8, 12, 12]


def test_a_section_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(
        TypeError, match="expected Glm4vMoeTextConfig or a dictionary, got Glm4vMoe"
    ):
        Glm4vMoeConfig(text_config=Glm4vMoeVisionConfig(**tiny_vision_config()))


def test_a_dtype_object_is_written_by_its_name(tmp_path: Path) -> None:
    Glm4vMoeConfig(**tiny_config(dtype=torch.float16)).save_pretrained(tmp_path)
    assert Glm4vMoeConfig.from_pretrained(tmp_path).dtype == "float16"


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden_act 'wiggle' is unknown; known: gelu"):
        Glm4vMoeForConditionalGeneration(
            Glm4vMoeConfig(**tiny_config(text={"hidden_act": "wiggle"}))
        )


def test_a_rope_type_without_its_constant_is_refused() -> None:
    rope = {"rope_type": "linear", "mrope_section": [1, 1, 2]}
    with pytest.raises(ValueError, match="'linear' needs 'factor'"):
        Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config(text={"rope_scaling": rope})))
