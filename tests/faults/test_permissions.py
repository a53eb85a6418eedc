"""A user of Redis who may not do everything: values are true, and somebody says what is missing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.rig import PATIENCE, PATIENT, SHAPES, Rig, Shape, Source
from tiercel.inspection.tier_health import examine_cache
from tiercel.testing.servers import RedisServer, wait_until

PASSWORD = "hidden-from-everybody"


@contextmanager
def limited(*rules: str) -> Iterator[str]:
    """Run a server; yield the URL of a user of it who may do everything but what rules forbid."""
    with RedisServer() as server:
        user = ("on", f">{PASSWORD}", "~*", "&*", "+@all", *rules)
        server.command("ACL", "SETUSER", "app", *user)
        yield server.url.replace("redis://", f"redis://app:{PASSWORD}@")


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What an operator would see."""
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


ENOUGH = "~tiercel* &tiercel!wake:* -@all +@read +@write +@scripting +@connection"
"""What the documentation gives a user; to be followed by the commands of no such category."""


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3]], ids=str)
def test_user_when_it_has_what_is_documented_then_nothing_is_missing(
    shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    """Every command and key is among them, also those of events, indexes and the doctor."""
    few = f"resetkeys resetchannels {ENOUGH} +publish +subscribe +time +info".split()
    with limited(*few) as url, Rig(f"{url}?events=true", shape, timeout=PATIENT, index=True) as rig:
        for round_ in range(4):
            assert [rig.call(item) for item in range(5)] == [round_] * 5
            for item in range(5):
                rig.change(item, how=round_)
        if shape.memory:
            wait_until(rig.cache.engine.trusts_memory, "the push channel", PATIENCE)
        assert {each.state for each in examine_cache(rig.cache)} == {"ok"}
        assert logged(caplog) == []


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3]], ids=str)
@pytest.mark.parametrize("command", ["evalsha", "mget", "script", "set", "xadd", "xrevrange"])
def test_user_when_a_command_is_forbidden_then_values_are_true_and_the_log_says_so_once(
    shape: Shape, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the server refuses costs nothing but the cache."""
    with limited(f"-{command}") as url, Rig(url, shape, timeout=PATIENT) as rig:
        for round_ in range(3):
            assert [rig.call(item) for item in range(5)] == [round_] * 5
            for item in range(5):
                rig.change(item, how=item)
        lines = logged(caplog)
        assert 1 <= len(lines) <= 4
        assert any("can't run this command" in line or "NOPERM" in line for line in lines)
        assert PASSWORD not in "".join(lines)
        if command != "script":
            assert {each.state for each in examine_cache(rig.cache)} & {"wrong", "warning"}


def test_user_when_the_stream_is_forbidden_then_memory_asks_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No call fails by that, so nothing else would say why memory never serves."""
    with limited("-xread") as url, Rig(url, SHAPES[0], timeout=PATIENT) as rig:
        for round_ in range(3):
            assert [rig.call(item) for item in range(5)] == [round_] * 5
            for item in range(5):
                rig.change(item, how=2)
        wait_until(lambda: bool(logged(caplog)), "the channel to be refused", PATIENCE)
        time.sleep(0.3)  # several more polls
        (line,) = logged(caplog)
        assert "push channel lost" in line
        found = {each.subject: each for each in examine_cache(rig.cache)}
        assert found["push channel of faults"].state == "wrong"


@pytest.mark.parametrize("rule", ["resetchannels", "-publish", "-subscribe"])
def test_user_when_messages_are_forbidden_then_waiters_go_by_the_clock(
    rule: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who waits gets what another computed; only the doctor can tell that it took long."""
    source = Source(pause=0.3)
    with (
        limited(rule) as url,
        Rig(url, SHAPES[1], source, name="slow", timeout=PATIENT) as one,
        Rig(url, SHAPES[1], source, name="slow", timeout=PATIENT) as other,
    ):
        threads = [threading.Thread(target=rig.call, args=[1]) for rig in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert source.asked[1] == 1
        assert logged(caplog) == []
        found = {each.subject: each for each in examine_cache(one.cache)}
        assert found["wakes of faults"].state == "warning"
        assert "publish and subscribe" in found["wakes of faults"].advice
