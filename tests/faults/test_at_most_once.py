"""Eight processes want one value at once, and each computation leaves a trace on disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis as client

from tests.faults.programs import Program, program
from tests.faults.rig import note
from tiercel import Cache, ConfigurationError
from tiercel.errors import BackendUnavailable
from tiercel.testing.servers import RedisServer

PROCESSES = 8
PATIENCE = 60.0


@contextmanager
def crowd(url: str, promise: str, traces: Path, lease: float) -> Iterator[list[Program]]:
    """Have the processes ready, and let them all call.

    A lease lasts longer than a busy machine may keep its holder from prolonging it, unless that
    would not matter.
    """
    with ExitStack() as stack:
        arguments = ("once", url, promise, str(traces), str(lease))
        programs = [stack.enter_context(program(*arguments)) for _ in range(PROCESSES)]
        assert [each.hear() for each in programs] == ["ready"] * PROCESSES
        for each in programs:
            each.tell()
        yield programs


def answer(worker: Program) -> Any:
    """Return what a call came to, whoever computed it."""
    said = worker.hear()
    return worker.hear() if said == "computing" else said


def computed(traces: Path) -> list[int]:
    """Return the processes that computed, in their order."""
    return [int(line) for line in traces.read_text().split()] if traces.exists() else []


def kill_holder(programs: list[Program], traces: Path) -> list[Program]:
    """Kill the first process that computes, as soon as it does; return the others."""
    deadline = time.monotonic() + PATIENCE
    while not (holders := computed(traces)):
        assert time.monotonic() < deadline, "nobody computes"
        time.sleep(0.01)
    for each in programs:
        if each.pid == holders[0]:
            each.kill()
    return [each for each in programs if each.pid != holders[0]]


@pytest.mark.parametrize("promise", ["at_most_once", "at_least_once"])
def test_crowd_when_all_goes_well_computes_once(
    redis: RedisServer, tmp_path: Path, promise: str
) -> None:
    """Everybody gets the value of the one who computed."""
    traces = tmp_path / "traces"
    with crowd(redis.url, promise, traces, 60.0) as programs:
        answers = [answer(each) for each in programs]
    (holder,) = computed(traces)
    assert answers == [{"value": holder}] * PROCESSES


def test_crowd_when_the_holder_is_killed_computes_at_most_once(
    redis: RedisServer, tmp_path: Path
) -> None:
    """Everybody else gets a clear error as soon as the lease has ended, and so does a latecomer."""
    traces = tmp_path / "traces"
    with crowd(redis.url, "at_most_once", traces, 0.5) as programs:
        others, killed = kill_holder(programs, traces), time.monotonic()
        answers = [answer(each) for each in others]
        note(f"all learned of the death after {time.monotonic() - killed:.2f} s")
    assert answers == [{"error": "HolderDied"}] * (PROCESSES - 1)
    with program("once", redis.url, "at_most_once", str(traces), "0.5") as late:
        assert late.hear() == "ready"
        late.tell()
        assert answer(late) == {"error": "HolderDied"}
    assert len(computed(traces)) == 1


def test_crowd_when_the_holder_is_killed_computes_at_least_once(
    redis: RedisServer, tmp_path: Path
) -> None:
    """Another takes over, and everybody gets its value."""
    traces = tmp_path / "traces"
    with crowd(redis.url, "at_least_once", traces, 3.0) as programs:
        answers = [answer(each) for each in kill_holder(programs, traces)]
    first, *heirs = computed(traces)
    assert len(heirs) == 1
    assert answers == [{"value": heirs[0]}] * (PROCESSES - 1)
    assert first != heirs[0]


def test_server_that_evicts_or_is_gone_is_an_error(redis: RedisServer) -> None:
    """Nothing is computed where a claim could be lost or cannot be taken."""
    asked: list[int] = []
    cache = Cache(redis.url, timeout=30.0, name="evicting")

    @cache.cached(ttl=60, name="faults:evicting", atomic_writes="at_most_once")
    def compute(item: int) -> int:
        asked.append(item)
        return item

    with client.Redis.from_url(redis.url) as server:
        server.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(ConfigurationError, match="maxmemory-policy is allkeys-lru"):
            compute(1)
        server.config_set("maxmemory-policy", "noeviction")
        assert compute(1) == 1
    redis.kill()
    with pytest.raises(BackendUnavailable):
        compute(2)
    cache.close()
    assert asked == [1]
