"""What holds across fork and exit."""

from __future__ import annotations

import time

import pytest

from tests.faults.programs import program
from tests.faults.rig import Shape, note
from tiercel.testing.servers import RedisServer


@pytest.mark.parametrize("how", ["os", pytest.param("multiprocessing", marks=pytest.mark.long)])
def test_fork_when_threads_are_at_work_then_child_and_parent_go_on(
    redis: RedisServer, shape: Shape, how: str
) -> None:
    """Own sockets and threads, no waiting for flights of the parent, nothing trusted in memory."""
    flags = [str(int(flag)) for flag in shape]
    with program("forker", redis.url, *flags, how) as worker:
        report = worker.hear()
        assert worker.end() == ""
    child, parent = report["child"], report["parent"]
    assert child["pid"] != parent["pid"]
    assert (child["wrong"], parent["wrong"]) == (0, 0)
    assert child["held"] == 0
    assert child["tier"] != "memory"
    assert child["computed_by"] == parent["computed_by"] == parent["pid"]  # one lease for both
    assert child["waited"] < 8  # a lease that nobody gives back lasts 10
    assert child["trusted"]
    assert parent["trusted"]
    note(f"{shape}, {how}: the child waited {child['waited']:.2f} s for the parent's value")


def test_exit_when_background_work_is_left_then_it_is_quick_and_quiet(
    redis: RedisServer, shape: Shape
) -> None:
    """With channel, mailbox and keeper alive, refreshes pending and computations under way."""
    best = float("inf")
    for _ in range(4):  # a busy machine may take its time for some
        took, errors = leave(redis, shape)
        best = min(best, took)
        note(f"{shape}: ended after {took:.2f} s; it said: {errors.strip() or 'nothing'}")
        for word in ("Traceback", "Exception", "destroyed", "never"):
            assert word not in errors
        if best < 1.0:
            break
    assert best < 1.0


def leave(redis: RedisServer, shape: Shape) -> tuple[float, str]:
    """Have a process end; return the seconds that took, and what it complained of."""
    flags = [str(int(flag)) for flag in shape]
    with program("leaver", redis.url, *flags) as worker:
        left = worker.hear()
        errors = worker.end()
        return time.time() - left, errors
