"""What holds among real processes that share a real Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.processes import run_workers
from tiercel.testing.servers import RedisServer


def requests_for_leases(redis: RedisServer) -> int:
    """How often scripts were run: what a poller would do again and again."""
    lines = redis.command("info", "commandstats").splitlines()
    counted = {line.partition(":")[0]: line for line in lines}
    calls = counted.get("cmdstat_evalsha", "calls=0").partition("calls=")[2]
    return int(calls.partition(",")[0])


def test_cold_key_when_64_threads_in_4_processes_ask_is_computed_once(
    redis: RedisServer, tmp_path: Path
) -> None:
    """One computation of 500 ms serves all; waiters are woken, not polling."""
    log = tmp_path / "computations"
    reports = run_workers(*[("cold_key", redis.url, str(log), "16")] * 4)
    requests = requests_for_leases(redis)
    latencies = sorted(latency for report in reports for latency in report["latencies"])
    assert log.read_text() == "1\n"
    assert len(latencies) == 64
    print(
        f"\nafter the fill: median {latencies[32] * 1e3:.1f} ms, last {latencies[-1] * 1e3:.1f} ms"
    )
    print(f"scripts run for all 64: {requests}")
    # The figures to look at are printed; this holds on busy machines, too: some of those who waited
    # in the three other processes were woken long before they would have asked again by themselves.
    assert latencies[20] < 0.4
    assert requests <= 64 * 3  # asked, woken, asked again; polling every 5 ms would be 6,400


def test_build_when_4_processes_ask_is_started_once(redis: RedisServer, tmp_path: Path) -> None:
    """All are told of one task, by its id, and get what it has built."""
    log = tmp_path / "builds"
    reports = run_workers(*[("one_build", redis.url, str(log))] * 4)
    assert log.read_text() == "1\n"
    assert {report["value"] for report in reports} == {42}
    assert len({task for report in reports for task in report["tasks"]}) == 1


def test_build_when_its_process_dies_is_started_again(redis: RedisServer, tmp_path: Path) -> None:
    """Others take over as soon as the lease of the dead process has ended."""
    log = tmp_path / "builds"
    (dead,) = run_workers(("lost_build", redis.url, str(tmp_path / "begun")))
    reports = run_workers(*[("one_build", redis.url, str(log))] * 2)
    assert log.read_text() == "1\n"
    assert {report["value"] for report in reports} == {42}
    assert len({task for report in reports for task in report["tasks"]} - {dead["task"]}) == 1


@pytest.mark.parametrize("seed", [1])
def test_readers_and_droppers_in_4_processes_never_see_what_was_dropped(
    redis: RedisServer, tmp_path: Path, seed: int
) -> None:
    """Shared reads never return a value that is older than an acknowledged drop."""
    for number in range(8):
        (tmp_path / f"version-{number}").touch()
    reports = run_workers(
        *[("coherence", redis.url, str(tmp_path), "1000", str(seed * 10 + n)) for n in range(4)]
    )
    reads = sum(report["reads"] for report in reports)
    drops = sum(report["drops"] for report in reports)
    print(f"\n{reads} reads, {drops} drops, {sum(r['stale'] for r in reports)} stale")
    assert sum(report["stale"] for report in reports) == 0
    assert reads > 3000
    assert drops > 300
