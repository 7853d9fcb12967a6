"""Training: the loss falls, gradients reach every parameter, dropout acts only then."""

from __future__ import annotations

import pytest
import torch
from prompts import Prompt
from tiny import tiny_config

from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration, next_token_loss


def build(**changes: dict) -> Glm4vMoeForConditionalGeneration:
    return Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config(**changes)))


def test_the_loss_of_a_small_model_falls() -> None:
    model = build().train()
    prompt = Prompt().text(4).image(4, 6).text(10)
    inputs = {**prompt.tensors(), "labels": torch.tensor([prompt.ids])}
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = model(**inputs).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


@pytest.mark.parametrize("tied", [False, True])
def test_every_parameter_gets_a_gradient(tied: bool) -> None:
    model = build(tie_word_embeddings=tied).train()
    prompt = Prompt().text(40).image(8, 8).video(2, 4, 6).text(60)
    model(**prompt.tensors(), labels=torch.tensor([prompt.ids])).loss.backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("part", ["text", "vision"])
def test_dropout_acts_in_training_only(part: str) -> None:
    model = build(**{part: {"attention_dropout": 0.5}})
    inputs = Prompt().text(12).image(4, 6).text(4).tensors()
    with torch.no_grad():
        trained = [model.train()(**inputs).logits for _ in range(2)]
        evaluated = [model.eval()(**inputs).logits for _ in range(2)]
    assert not torch.equal(*trained)
    assert torch.equal(*evaluated)


def test_dropout_keeps_the_expected_attention() -> None:
    model = build(text={"attention_dropout": 0.3, "num_hidden_layers": 1}).train()
    layer = model.model.language_model.layers[0].self_attn
    x = torch.randn(1, 8, 64)
    rope = model.model.language_model.rotary_emb(torch.arange(8).expand(3, 1, 8), x.dtype)
    with torch.no_grad():
        dropped = torch.stack([layer(x, rope, None, None)[0] for _ in range(3000)])
        want = layer.eval()(x, rope, None, None)[0]
    # the first token sees only itself: dropped or scaled up, never in between
    assert len(dropped[:, 0, 0].unique(dim=0)) > 1
    torch.testing.assert_close(dropped.mean(0), want, atol=5e-3, rtol=0.1)


def test_the_loss_is_computed_in_float32_whatever_the_dtype() -> None:
    logits = torch.randn(2, 9, 160).bfloat16()
    labels = torch.randint(0, 160, (2, 9))
    loss = next_token_loss(logits, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, next_token_loss(logits.float(), labels))


def test_a_cache_used_in_training_counts_as_constant() -> None:
    model = build().train()
    ids = Prompt().text(10).tensors()["input_ids"]
    with torch.no_grad():
        past = model(ids[:, :6], use_cache=True).past_key_values
    loss = model(ids[:, 6:], labels=ids[:, 6:], past_key_values=past).loss
    loss.backward()
    assert model.model.language_model.layers[0].self_attn.k_proj.weight.grad.any()


def test_initial_weights_have_the_configs_spread_and_neutral_norms_and_biases() -> None:
    model = build(text={"initializer_range": 0.3}, vision={"initializer_range": 0.1})
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.ndim == 1:
            assert (parameter == 1).all(), name
        else:
            want = 0.1 if "visual" in name else 0.3
            assert parameter.std().item() == pytest.approx(want, rel=0.2), name


def test_constant_tables_survive_to_empty() -> None:
    with torch.device("meta"):
        empty = build()
    source = build().eval()
    empty.to_empty(device="cpu").load_state_dict(source.state_dict())
    ids = Prompt().text(9).tensors()["input_ids"]
    with torch.no_grad():
        torch.testing.assert_close(empty.eval()(ids).logits, source(ids).logits)


def test_float32_parts_stay_float32_in_every_conversion() -> None:
    model = build().to(torch.bfloat16).half().to(torch.bfloat16)
    model.model.language_model.layers[1].mlp.gate.e_score_correction_bias += 1.0009765
    router = model.to(torch.float16).model.language_model.layers[1].mlp.gate
    assert router.e_score_correction_bias.dtype == torch.float32
    assert router.e_score_correction_bias[0].item() == pytest.approx(1.0009765, abs=1e-7)
    assert model.model.language_model.rotary_emb.inv_freq.dtype == torch.float32
    assert router.weight.dtype == torch.float16
