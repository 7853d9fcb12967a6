"""Worker processes make batches ahead, and hand them over in the order of asking."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training.workers import WorkerError, Workers

ROOT = Path(__file__).parents[2]


def square(number: int) -> tuple[int, int]:
    """Slower for even numbers, so that results come in another order; fails at 13, dies at 99."""
    if number == 13:
        raise ValueError("13 has no square here")
    if number == 99:
        os._exit(3)
    time.sleep(0.02 * (number % 2 == 0))
    return number * number, os.getpid()


def test_batches_come_in_the_order_of_asking_from_several_processes() -> None:
    with Workers(square, 2) as workers:
        for number in range(10):
            workers.submit(number)
        first = [workers.take() for _ in range(4)]
        for number in range(10, 13):
            workers.submit(number)
        every = first + [workers.take() for _ in range(9)]
    assert [result for result, _ in every] == [n * n for n in range(13)]
    assert len({process for _, process in every} - {os.getpid()}) == 2


def test_what_was_not_taken_is_known() -> None:
    with Workers(square, 0) as workers:
        for number in range(4):
            workers.submit(number)
        workers.take()
        assert workers.untaken == (1, 2, 3)


def test_each_batch_is_prepared_once() -> None:
    with Workers(square, 1, prepare=lambda result: -result[0]) as workers:
        for number in range(3):
            workers.submit(number)
        workers.wait_until_made()
        assert [workers.take() for _ in range(3)] == [0, -1, -4]


@pytest.mark.parametrize(("number", "message"), [(13, "13 has no square here"), (99, "code 3")])
def test_a_process_that_fails_says_why(number: int, message: str) -> None:
    with Workers(square, 1) as workers:
        workers.submit(2)
        workers.submit(number)
        assert workers.take()[0] == 4
        with pytest.raises(WorkerError, match=message):
            workers.take()


KILLED = """
import os, sys
from tests.training.test_workers import square
from training.workers import Workers

if __name__ == "__main__":
    workers = Workers(square, 2)
    for number in range(6):
        workers.submit(number)
    pids = {workers.take()[1] for _ in range(6)}
    print(*pids, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_leave_ctrl_c_to_the_trainer() -> None:
    with Workers(square, 2) as workers:
        for number in (1, 3):
            workers.submit(number)
        pids = {workers.take()[1] for _ in range(2)}
        for pid in pids:
            os.kill(pid, signal.SIGINT)
        workers.submit(5)
        assert workers.take()[0] == 25


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_end_with_a_trainer_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    trainer = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    assert trainer.stdin is not None and trainer.stdout is not None
    with trainer.stdin, trainer.stdout:
        workers = [int(word) for word in trainer.stdout.readline().split()]
        trainer.send_signal(signal.SIGKILL)
        trainer.wait()
    assert len(workers) == 2
    for _ in range(200):
        if not any(map(is_running, workers)):
            break
        time.sleep(0.05)
    assert not any(map(is_running, workers))
