"""Each loss of training by itself, against its definition."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from random_batch import CELLS, VOCABULARY, build_model, random_batch, random_labels
from torch import Tensor, nn

from training.objectives import Batch, forward_batch
from training.objectives.answers import AnswerLoss, sigma_at, soft_targets
from training.objectives.attention import FLOOR, attention_loss, probe_of, watched_tokens
from training.objectives.characters import BLANK_WEIGHT, PatchCharacters, TokenCharacters
from training.objectives.coordinates import ImageCoordinates
from training.objectives.elements import Boxes, Icons, Letters, Roles
from training.objectives.pointer import Pointer
from training.packing import IGNORED
from training.shared_prefix import SharedOutput
from training.targets import CHARACTER_CLASSES, COLUMNS, ICON_CLASSES, LETTER_PAIRS, ROLE_CLASSES
from training.tasks import TASKS

HIDDEN, VISION = 64, 32  # of the tiny model


@pytest.fixture
def given() -> tuple[SharedOutput, Batch]:
    """What the tiny model makes of a random batch."""
    batch = random_batch()
    with torch.no_grad():
        return forward_batch(build_model(), batch), batch


@pytest.mark.parametrize("sigma", [1.5, 5.0])
def test_soft_targets_are_bells_around_the_coordinate(sigma: float) -> None:
    rows = soft_targets(torch.tensor([0, 500, 999]), sigma)
    torch.testing.assert_close(rows.sum(-1), torch.ones(3))
    assert rows.argmax(-1).tolist() == [0, 500, 999]
    torch.testing.assert_close(rows[1, 500 - 7 : 500], rows[1, 501 : 500 + 8].flip(0))
    ratio = rows[1, 503] / rows[1, 500]
    assert ratio.item() == pytest.approx(math.exp(-9 / (2 * sigma**2)), rel=1e-4)


def test_soft_targets_get_narrower() -> None:
    assert sigma_at(0.0) == 5.0
    assert sigma_at(0.5) == pytest.approx(3.25)
    assert sigma_at(1.0) == 1.5
    assert sigma_at(0.5, first=2.5) == 2.0


def test_answers_lose_by_the_next_token_and_coordinates_by_their_bell(
    given: tuple[SharedOutput, Batch],
) -> None:
    output, batch = given
    loss, measures = AnswerLoss()(output, batch, sigma=2.0)
    log_probs = (output.hidden @ output.lm_head.T).log_softmax(-1)
    text, coordinates, losses, counts = [], [], [], []
    begun: Counter[tuple[int, int]] = Counter()
    for at in (batch.labels != IGNORED).nonzero().tolist():
        b, t, i = at
        # the two tokens that an answer begins with decide what it says
        counts.append(3.0 if begun[b, t] < 2 else 1.0)
        begun[b, t] += 1
        label = batch.labels[b, t, i]
        plain = -log_probs[b, t, i, label]
        if batch.coordinate[b, t, i]:
            coordinates.append(plain)
            bell = soft_targets(label[None], 2.0)[0]
            losses.append(-(bell * log_probs[b, t, i, :1000]).sum())
        else:
            text.append(plain)
            losses.append(plain)
    weights = torch.tensor(counts)
    assert 0 < (weights == 3).sum() < len(weights)
    torch.testing.assert_close(loss, (torch.stack(losses) * weights).sum() / weights.sum())
    torch.testing.assert_close(measures["text_loss"], torch.stack(text).mean())
    torch.testing.assert_close(measures["coordinate_loss"], torch.stack(coordinates).mean())


def test_coordinates_that_are_off_by_little_count_as_near() -> None:
    """A head that reads the answer off a state: each state is the one-hot of a number."""
    batch = random_batch()
    output = forward_batch(build_model(), batch)
    rows = output.layout.real(batch.labels).clamp(0, 900)
    is_coordinate = output.layout.real(batch.coordinate)
    said = rows + torch.where(is_coordinate, 15, 0)
    states = F.one_hot(said, VOCABULARY).float()
    output = replace(output, turn_states=states, lm_head=torch.eye(VOCABULARY))
    batch = replace(batch, labels=batch.labels.clamp(max=900))
    _, measures = AnswerLoss()(output, batch, sigma=2.0)
    assert measures["near/text"] == 1 and measures["right/text"] == 1
    assert measures["coordinate_error"] == 15
    farther = F.one_hot(said + is_coordinate.long(), VOCABULARY).float()
    _, measures = AnswerLoss()(replace(output, turn_states=farther), batch, sigma=2.0)
    assert measures["near/text"] == 0


def test_the_pointer_is_the_cross_entropy_of_cosines_with_the_own_screen(
    given: tuple[SharedOutput, Batch],
) -> None:
    output, batch = given
    pointer = Pointer(HIDDEN)
    loss, measures = pointer(output, batch)
    states = output.layout.padded(output.early_turn_states)
    losses, hits = [], []
    for b, t in (batch.pointer_at >= 0).nonzero().tolist():
        query = pointer.query(F.rms_norm(states[b, t, batch.pointer_at[b, t]], (HIDDEN,)))
        keys = pointer.key(F.rms_norm(output.early_image_states[b], (HIDDEN,)))
        scores = F.cosine_similarity(query[None], keys) * math.exp(2.3)
        cells = batch.pointer_cells[b, t]
        losses.append(-scores.log_softmax(-1)[cells].mean())
        hits.append(cells[scores.argmax()].float())
    torch.testing.assert_close(loss, torch.stack(losses).mean(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(measures["pointer_hit"], torch.stack(hits).mean())
    own = torch.stack(hits[::2]).mean()  # every second one is a turn of task 0
    torch.testing.assert_close(measures[f"pointer_hit/{TASKS[0]}"], own)


def test_the_element_is_looked_at_while_its_middle_and_box_are_written() -> None:
    batch = random_batch()
    coordinate = torch.zeros_like(batch.coordinate)
    coordinate[0, 0] = True  # from 1 on: seven, of which six are watched
    pointer_at = torch.full_like(batch.pointer_at, -1)
    pointer_at[0, 0] = 1
    pointer_at[1, 2] = 1  # an answer in words
    batch = replace(batch, coordinate=coordinate, pointer_at=pointer_at)
    screen, turn, token = watched_tokens(batch)
    assert list(zip(screen.tolist(), turn.tolist(), token.tolist(), strict=True)) == [
        *((0, 0, token) for token in range(1, 7)),
        (1, 2, 1),
    ]


def test_only_the_last_layers_are_watched() -> None:
    batch = random_batch()
    assert probe_of(batch, 5).layers == (3, 4)
    assert probe_of(batch, 1).layers == (0,)


def test_attention_loses_by_what_is_not_on_the_element(
    given: tuple[SharedOutput, Batch],
) -> None:
    output, batch = given
    loss, measures = attention_loss(output, batch)
    assert output.attention is not None and output.probe is not None
    losses, shares = [], []
    for layer in output.attention:
        for row, b, t in zip(layer, output.probe.screen, output.probe.turn, strict=True):
            shares.append(row[batch.pointer_cells[b, t]].sum())
            losses.append(-(shares[-1] + FLOOR).log())
    torch.testing.assert_close(loss, torch.stack(losses).mean())
    torch.testing.assert_close(measures["attention_on_target"], torch.stack(shares).mean())


def test_image_tokens_of_elements_say_their_box_with_the_heads_numbers(
    given: tuple[SharedOutput, Batch],
) -> None:
    output, batch = given
    objective, labels = ImageCoordinates(HIDDEN), batch.targets
    assert labels is not None
    loss, _ = objective(output, labels, sigma=2.0)
    losses = []
    for b, m in (labels.role > 0).nonzero().tolist():
        state = F.rms_norm(output.image_embeds[b, m], (HIDDEN,), eps=1e-5)
        for side, weight in enumerate(objective.sides.weight.split(HIDDEN)):
            log_probs = (output.lm_head[:1000] @ (weight @ state)).log_softmax(-1)
            bell = soft_targets(labels.box[b, m, side].round().long()[None], 2.0)[0]
            losses.append(-(bell * log_probs).sum())
    torch.testing.assert_close(loss, torch.stack(losses).mean(), atol=1e-4, rtol=1e-4)


def test_patches_are_read_column_by_column_and_blanks_count_little() -> None:
    objective = PatchCharacters(VISION, COLUMNS, CHARACTER_CLASSES)
    states, labels = torch.randn(2, 4 * CELLS, VISION), random_labels().characters
    labels[0, :10] = 0
    loss, measures = objective(states, labels)
    logits = objective.head(states).view(2, 4 * CELLS, COLUMNS, CHARACTER_CLASSES)
    plain = -logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0]
    weights = torch.where(labels == 0, BLANK_WEIGHT, 1.0)
    torch.testing.assert_close(loss, (plain * weights).sum() / weights.sum())
    right = (logits.argmax(-1) == labels)[labels > 0].float().mean()
    torch.testing.assert_close(measures["characters"], right)


def test_an_image_token_reads_the_characters_of_its_four_patches() -> None:
    """A head that is a table: image token m says the class that is drawn in its own patches."""
    objective = TokenCharacters(CELLS, 4 * COLUMNS, CHARACTER_CLASSES)
    labels = torch.randint(1, CHARACTER_CLASSES, (1, CELLS, 4 * COLUMNS))
    table = F.one_hot(labels[0], CHARACTER_CLASSES).float().flatten(1) * 50
    objective.head.weight = nn.Parameter(table.T.contiguous())
    nn.init.zeros_(objective.head.bias)
    loss, measures = objective(torch.eye(CELLS)[None], labels.view(1, 4 * CELLS, COLUMNS))
    assert measures["token_characters"] == 1 and loss < 1e-3


def test_of_blank_columns_few_count_but_each_somewhere() -> None:
    """A head that says which image token and column it stands for, by what gets a gradient."""
    objective = TokenCharacters(CELLS, 4 * COLUMNS, CHARACTER_CLASSES)
    blank = torch.zeros(1, 4 * CELLS, COLUMNS, dtype=torch.int64)
    objective(torch.eye(CELLS)[None], blank)[0].backward()
    gradient = objective.head.weight.grad.view(4 * COLUMNS, CHARACTER_CLASSES, CELLS)
    counted = (gradient.abs().sum(1) > 0).T  # (image tokens, columns)
    assert counted.float().mean() < 0.25
    assert counted.any(0).all()


@pytest.mark.parametrize(
    "objective", [Boxes(HIDDEN), Letters(HIDDEN, LETTER_PAIRS)], ids=["boxes", "letters"]
)
def test_boxes_and_letters_are_asked_of_elements_only(objective: Boxes | Letters) -> None:
    labels = random_labels()
    states = torch.randn(2, CELLS, HIDDEN, requires_grad=True)
    objective.loss(states, labels)[0].backward()
    got = states.grad.abs().sum(-1) > 0
    assert torch.equal(got, labels.role > 0)


def knowing(head: nn.Linear, wanted: Tensor) -> tuple[nn.Linear, Tensor]:
    """Make a head say ``wanted`` (B, M, n) of states that number the image tokens."""
    states = torch.eye(wanted[..., 0].numel()).view(*wanted.shape[:2], -1)
    head.weight = nn.Parameter(wanted.flatten(0, 1).T.contiguous())
    nn.init.zeros_(head.bias)
    return head, states


def test_heads_that_know_the_elements_lose_nothing() -> None:
    labels = random_labels()
    count = labels.role.numel()
    role = F.one_hot(labels.role, ROLE_CLASSES).float() * 50
    icon = F.one_hot(labels.icon, ICON_CLASSES).float() * 50
    box = torch.cat((labels.offset, labels.box * 8 / 1000), dim=-1)
    letters = (labels.letters.float() - 0.5) * 50
    for head, wanted, measure in (
        (Roles(count, ROLE_CLASSES), role, "roles"),
        (Icons(count, ICON_CLASSES), icon, "icons"),
        (Boxes(count), box, "box_error"),
        (Letters(count, LETTER_PAIRS), letters, None),
    ):
        knower, states = knowing(head, wanted)
        loss, measures = knower.loss(states, labels)
        assert loss < 1e-4
        if measure is not None:
            want = 0.0 if measure == "box_error" else 1.0
            assert measures[measure].item() == pytest.approx(want, abs=1e-3)


def test_the_error_of_boxes_is_in_thousandths() -> None:
    labels = random_labels()
    off = torch.cat((labels.offset, (labels.box + 20) * 8 / 1000), dim=-1)
    knower, states = knowing(Boxes(labels.role.numel()), off)
    assert knower.loss(states, labels)[1]["box_error"].item() == pytest.approx(20, rel=1e-3)
