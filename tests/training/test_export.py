"""What a run leaves behind is a checkpoint for this engine and for transformers, with its card."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from grounding.evaluation.options import BUNDLED_FOLDER
from model.backends.base import Reply, SamplingOptions
from model.backends.local import LocalBackend
from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.processing import Glm4vProcessor, Limits
from training.evaluation import Score
from training.export import CARD, Story, accuracy_table, export

ROOT = Path(__file__).parents[2]
MAX_BYTES = 40e6
SCREENSHOT = ROOT / "assets" / "examples" / "settings.png"
STORY = Story(
    command="python -m training.train --minutes 3",
    start="random weights",
    data="Drawn screens.",
    screens=1200,
    questions=14000,
    steps=150,
    hours=0.05,
    machine="two cores",
    accuracy=(
        Score("text", thinking=False, count=100, right=40, iou_50=0.25),
        Score("text", thinking=True, count=100, right=30, iou_50=0.2),
        Score("icon", thinking=False, count=50, right=10, iou_50=0.1),
        Score("reading", thinking=False, count=20, right=5, iou_50=None),
    ),
    measured_on="20 drawn screens",
)


def test_the_table_has_a_row_for_each_task_and_no_numbers_that_were_not_measured() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in accuracy_table(STORY.accuracy).splitlines()[2:]
    ]
    assert rows[0] == ["text", "100", "40% (31% to 50%)", "30% (22% to 40%)", "25%"]
    assert rows[1][:2] == ["icon", "50"] and rows[1][3] == ""
    assert rows[2][0] == "reading" and rows[2][-1] == ""


@pytest.fixture(scope="module")
def trained() -> Glm4vMoeForConditionalGeneration:
    """The bundled model in float32, with values that bfloat16 has not."""
    model = Glm4vMoeForConditionalGeneration.from_pretrained(BUNDLED_FOLDER, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.0003)
        for name, buffer in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.add_(1 / 3)
    return model


@pytest.fixture(scope="module")
def folder(
    trained: Glm4vMoeForConditionalGeneration, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("run") / "model"
    export(trained, path, processor_folder=BUNDLED_FOLDER, story=STORY)
    return path


def test_the_card_says_what_it_is_made_of_and_how_good_it_is(folder: Path) -> None:
    card = (folder / CARD).read_text()
    title, summary, _ = card.split("\n\n", 2)  # as the page takes it apart
    assert title.startswith("# ") and "40% of texts" in summary and "20% of icons" in summary
    parts = ("random weights", "1,200 screens", "14,000 questions", "150 steps", "3 minutes")
    for part in (*parts, STORY.machine, STORY.data, STORY.command):
        assert part in card


def test_weights_are_rounded_once_and_balancing_stays_exact(
    folder: Path, trained: Glm4vMoeForConditionalGeneration
) -> None:
    loaded = Glm4vMoeForConditionalGeneration.from_pretrained(folder)
    state = loaded.state_dict()
    for name, value in trained.state_dict().items():
        is_bias = name.endswith("e_score_correction_bias")
        assert torch.equal(state[name], value if is_bias else value.bfloat16()), name
    assert next(trained.parameters()).dtype == torch.float32  # a copy was written


def test_it_is_small_and_complete(folder: Path) -> None:
    assert sum(file.stat().st_size for file in folder.iterdir()) <= MAX_BYTES
    assert {file.name for file in folder.iterdir()} >= {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "preprocessor_config.json",
        "video_preprocessor_config.json",
        CARD,
    }
    assert Glm4vMoeConfig.from_pretrained(folder).dtype == "bfloat16"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]  # nothing is left over


def test_a_second_export_replaces_the_first_as_a_whole(
    tmp_path: Path, trained: Glm4vMoeForConditionalGeneration
) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "model-00001-of-00002.safetensors").write_bytes(b"older, in two files")
    export(trained, path, processor_folder=BUNDLED_FOLDER, story=STORY)
    Glm4vMoeForConditionalGeneration.from_pretrained(path)
    assert not (path / "model-00001-of-00002.safetensors").exists()


def prompt(folder: Path) -> dict[str, torch.Tensor]:
    content = [
        {"type": "image", "image": str(SCREENSHOT)},
        {"type": "text", "text": "Click on the Battery saver row"},
    ]
    processor = Glm4vProcessor.from_pretrained(folder)
    inputs: dict[str, torch.Tensor] = processor.apply_chat_template(
        [{"role": "user", "content": content}], enable_thinking=False
    )
    return inputs


@pytest.mark.slow
def test_transformers_computes_the_same_logits(folder: Path) -> None:
    from transformers import Glm4vMoeForConditionalGeneration as Reference

    inputs = prompt(folder)
    reference = Reference.from_pretrained(folder, dtype=torch.float32).eval()
    ours = Glm4vMoeForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        torch.testing.assert_close(
            ours(**inputs).logits, reference(**inputs).logits, atol=1e-4, rtol=1e-4
        )


@pytest.mark.slow
def test_the_page_answers_with_it(folder: Path) -> None:
    backend = LocalBackend(str(folder), name="trained", device="cpu", num_threads=1)
    assert backend.wait_until_settled().state == "ready"
    attachment = backend.open_attachment(str(SCREENSHOT), limits=Limits())
    question = {"type": "text", "text": "Click on the Battery saver row"}
    reply = Reply()
    for event in backend.stream(
        [{"role": "user", "content": [*attachment.content(), question]}],
        enable_thinking=False,
        options=SamplingOptions(top_k=1, max_new_tokens=40),
    ):
        reply.add(event)
    assert reply.answer.startswith("<|begin_of_box|>")
