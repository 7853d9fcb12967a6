"""A short visit of several people to the real app, as ``benchmarks.users`` makes a long one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.app_process import Sample
from benchmarks.users import cache_growth, fairness, growth, run

# A bound on the whole, not on growth: runs of two and five minutes came to 1.0 and 1.4 GB.
MOST_MEMORY = 1_500_000_000
# Threads that a server at rest has beside those of its start: anyio's, until they have idled long.
MOST_IDLE_THREADS = 24
CLOSED = 8


@pytest.mark.slow
def test_several_people_at_once_are_all_served_and_leave_nothing_behind() -> None:
    # a thread of its own: Playwright's loop may be running in this one
    with ThreadPoolExecutor(1) as thread:
        visit = thread.submit(run, users=4, tabs_of_one=2, seconds=12.0, seed=3)
        visits, process = visit.result()
    assert visits.errors == []
    assert {asked.who for asked in visits.asked if asked.end != "left"} == {
        *(f"user {number}" for number in range(4)),
        "many tabs",
    }
    assert not any(asked.end == "refused" for asked in visits.asked)
    first, last = process.samples[0], process.samples[-1]
    assert max(sample.resident for sample in process.samples) < MOST_MEMORY
    assert last.threads <= first.threads + MOST_IDLE_THREADS
    assert last.files <= first.files + CLOSED
    assert last.engine[0] == 0  # nothing runs any more


def test_jain_s_index_is_one_for_equals_and_falls_to_one_of_n() -> None:
    assert fairness([2.0, 2.0, 2.0]) == pytest.approx(1.0)
    assert fairness([6.0, 0.0, 0.0]) == pytest.approx(1 / 3)


def test_growth_is_told_per_minute_and_without_the_beginning() -> None:
    samples = [Sample(at, 10**6 * (900 if at < 60 else 500 + at), 1, 1, ()) for at in range(120)]
    per_minute, in_all = growth(samples, 60.0)
    assert (per_minute, in_all) == (pytest.approx(60.0), pytest.approx(59.0))


def test_what_caches_grew_by_is_told_apart_from_running_requests() -> None:
    samples = [Sample(at, 0, 1, 1, (10**9, at * 10**6, 2 * 10**6)) for at in range(120)]
    assert cache_growth(samples, 60.0) == (pytest.approx(62.0), pytest.approx(59.0))
