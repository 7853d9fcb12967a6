"""What a step does is a function of the step, and of numbers fixed before the first."""

from __future__ import annotations

import pytest

from training.schedule import Curve, Schedule, mixture, typical_size
from training.screens import SIZES

LONG = Schedule(reading_steps=1000, grounding_steps=4000, largest="large", is_growing=True)
FURTHER = Schedule(reading_steps=0, grounding_steps=400, largest="large", is_growing=False)


@pytest.mark.parametrize("steps", [1, 3, 40, 1000])
def test_the_rate_rises_stays_and_falls_to_its_floor(steps: int) -> None:
    rates = [Curve(warm_up=50, decay=0.4, floor=0.03)(step, steps) for step in range(steps)]
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == pytest.approx(0.03)
    if steps >= 40:
        assert rates.count(1.0) >= 0.45 * steps
        assert rates[0] < 0.3


def test_each_phase_has_a_rate_of_its_own() -> None:
    assert LONG.phase(999) == "reading" and LONG.phase(1000) == "grounding"
    assert LONG.rate(999) == pytest.approx(0.15)
    assert LONG.rate(1000) == pytest.approx(1 / 50)
    assert LONG.rate(4999) == pytest.approx(0.03)


def test_screens_grow_up_to_the_largest_that_was_asked_for() -> None:
    order = ["tiny", "small", "middle", "large"]
    levels = [LONG.level(step) for step in range(1000, 5000, 100)]
    assert levels[0] == "tiny" and levels[-1] == "large"
    assert levels == sorted(levels, key=order.index)
    shorter = Schedule(0, 4000, largest="middle", is_growing=True)
    assert shorter.level(3999) == "middle"
    assert {FURTHER.level(step) for step in range(400)} == {"large"}
    longer = Schedule(0, 4000, largest="desktop", is_growing=True)
    assert longer.level(3000) == "large" and longer.level(3999) == "desktop"


def test_larger_levels_still_show_smaller_screens() -> None:
    assert set(SIZES["small"]) | set(SIZES["middle"]) | set(SIZES["large"]) == set(mixture("large"))
    assert typical_size("large") in mixture("large")
    assert set(mixture("large")) | set(SIZES["desktop"]) == set(mixture("desktop"))


def test_no_two_batches_in_a_row_leave_thoughts_out() -> None:
    short = [LONG.is_short(step) for step in range(1000, 5000)]
    assert any(short[:100])
    assert not any(a and b for a, b in zip(short, short[1:], strict=False))
    assert not any(short[2000:])
    assert not any(FURTHER.is_short(step) for step in range(400))


def test_experts_settle_at_the_end() -> None:
    assert LONG.balance_rate(4990) < LONG.balance_rate(2000)
