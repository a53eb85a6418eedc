"""Whether one cache works: its shared tier, its guarantee, its lives and its push channel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final
from uuid import uuid4

from tiercel.bulletins import Watch
from tiercel.bulletins.board import can_publish
from tiercel.caches import Cache
from tiercel.contracts.backend import (
    Begin,
    Capability,
    DropScopes,
    Key,
    Read,
    Release,
    Scope,
)
from tiercel.contracts.integration import Finding
from tiercel.engine import sync
from tiercel.engine.channel import Channel
from tiercel.engine.effects import Steps
from tiercel.errors import BackendError
from tiercel.keys.layout import call_to_all
from tiercel.oversight import state_of
from tiercel.values import Values

LIFE: Final = 30.0
"""Seconds that a probe lives."""

PATIENCE: Final = 2.0
"""Seconds by which the clocks of a server and of this process may disagree over a life."""

ANSWER: Final = 1.0
"""Seconds that processes have to answer."""

APART: Final = 15.0
"""Seconds by which the clocks of two processes may differ; bulletins live for 10 of them."""

_WEAKER: Final = {
    "G1": "a slow computation may store over a newer value, and each process computes by itself",
    "G2": "memory asks the shared tier after max_lag, as nothing tells it of drops elsewhere",
}


def examine_cache(cache: Cache) -> Iterator[Finding]:
    """Look at a cache; at its shared tier only if that answers."""
    subject = f"cache {cache.name}"
    if cache.shared is None:
        yield Finding(subject, "ok", f"{cache!r}: in the memory of each process only")
        return
    state = state_of(cache)
    if not state.reachable:
        advice = "start the server, or correct the URL; callers get computed values meanwhile"
        yield Finding(subject, "wrong", f"{cache!r}: {state.error}", advice)
        return
    yield Finding(subject, "ok", f"{cache!r}, answers in {state.milliseconds:.1f} ms")
    yield _guarantee(cache)
    yield _clock(cache)
    yield _channel(cache)
    yield from _wakes(cache)
    yield from _processes(cache)
    yield from _debts(cache)


def _guarantee(cache: Cache) -> Finding:
    subject, level = f"guarantee of {cache.name}", cache.guarantee
    if level not in _WEAKER:
        return Finding(subject, "ok", f"{level}: fenced fills, coherent memory")
    assert cache.shared is not None
    lacks = {Capability.ATOMIC, Capability.PUSH} - cache.shared.capabilities
    detail = f"{level}, as the backend lacks {', '.join(sorted(lacks))}: {_WEAKER[level]}"
    return Finding(
        subject, "warning", detail, "use a backend with both, such as redis, if it matters"
    )


def _clock(cache: Cache) -> Finding:
    """Store a probe, and see whether the server counts its life as this process does."""
    subject = f"clock of {cache.name}"
    probes, name = Values(cache, "doctor", tiers="shared"), uuid4().hex
    start = time.monotonic()
    try:
        stored = sync.run(cache.engine, probes.set(name, "probe", LIFE))
        remaining = sync.run(cache.engine, _remaining(probes._call(name).key))
        sync.run(cache.engine, probes.delete(name))
    except BackendError as error:
        return Finding(subject, "wrong", f"a probe failed: {error}", "see the log of the server")
    if not stored or remaining <= 0:
        advice = "see whether the server is full, or its user may write"
        return Finding(subject, "wrong", "a probe was not stored", advice)
    off = LIFE - remaining - (time.monotonic() - start)
    if abs(off) > PATIENCE:
        detail = f"the server counts {LIFE:.0f} seconds as {LIFE - off:.1f}"
        return Finding(subject, "wrong", detail, "correct the clock of the server, or of this host")
    return Finding(subject, "ok", "the server counts lives as this process does")


def _remaining(key: Key) -> Steps[float]:
    reading = yield Read(key)
    left: float = reading.remaining if reading.payload is not None else 0.0
    return left


def _channel(cache: Cache) -> Finding:
    subject, channel = f"push channel of {cache.name}", cache.engine.channel
    if channel is None:
        return Finding(subject, "ok", "none: memory is off, or asks the shared tier")
    try:
        took = _lag(cache, channel)
    except BackendError as error:
        return Finding(subject, "wrong", f"it cannot be read: {error}", "see the log of the server")
    if took is None:
        advice = "see whether the server is slow; memory asks the shared tier until it works"
        return Finding(subject, "wrong", f"no drop arrived within {PATIENCE:.0f} s", advice)
    detail = f"a drop arrived after {took * 1000:.1f} ms; max_lag is {channel.max_lag:g} s"
    return Finding(subject, "ok", detail)


def _lag(cache: Cache, channel: Channel) -> float | None:
    """Return how many seconds a drop takes to come back here; None if it does not."""
    name, heard = call_to_all(cache.prefix, "probe"), list[str]()
    follows = Channel(_Nothing(), cache.engine.clock, channel.max_lag)
    follows.listeners = (heard.append,)
    end = time.monotonic() + PATIENCE
    while not follows.trusted() and time.monotonic() < end:
        sync.run(cache.engine, follows.poll())
    start = time.monotonic()
    sync.run(cache.engine, _drop(name))
    while name not in heard:
        if time.monotonic() > end:
            return None
        sync.run(cache.engine, follows.poll())
    return time.monotonic() - start


def _wakes(cache: Cache) -> Iterator[Finding]:
    """See whether waiters are woken; nothing where the backend can wake nobody."""
    subject = f"wakes of {cache.name}"
    detail = "who waits for another's computation is not woken, and asks again every second"
    try:
        woken = _is_woken(cache)
    except BackendError as error:
        woken, detail = False, f"{detail}: {error}"
    if woken:
        yield Finding(subject, "ok", "who waits for another's computation is woken")
    elif woken is not None:
        advice = "see whether the server lets its user publish and subscribe"
        yield Finding(subject, "warning", detail, advice)


def _is_woken(cache: Cache) -> bool | None:
    """Return whether a mailbox hears of a lease that is given back; None: there is no mailbox."""
    assert cache.shared is not None
    waiter, name = uuid4().hex, f"{cache.prefix}:probe:{uuid4().hex}"
    mailbox = cache.shared.open_mailbox(waiter)
    if mailbox is None:
        return None
    with closing(mailbox):
        sync.run(cache.engine, _wait_in_vain(Key(name, (name,), name), waiter))
        return bool(mailbox.receive(ANSWER))


def _wait_in_vain(key: Key, waiter: str) -> Steps[None]:
    """Take a lease, have the mailbox wait for it, and give it back."""
    granted = yield Begin(key, LIFE, LIFE)
    yield Begin(key, LIFE, LIFE, waiter=waiter)
    yield Release(key, granted.token)


class _Nothing:
    """A memory tier that has nothing to drop."""

    def drop_name(self, name: str) -> None: ...

    def clear(self) -> None: ...


def _drop(name: str) -> Steps[None]:
    yield DropScopes((Scope(name),), LIFE)


def _processes(cache: Cache) -> Iterator[Finding]:
    """Ask the processes of the cache to answer, and compare their clocks with that of this one."""
    if not can_publish(cache):
        return
    subject, watch = f"processes of {cache.name}", Watch(cache, without=cache.publisher.process)
    off, end = dict[str, float](), time.monotonic() + ANSWER
    try:
        watch.ask()
        while time.monotonic() < end:
            time.sleep(ANSWER / 4)
            now = cache.clock.time()
            off |= {each.process: each.at - now for each in watch.news()}
    except BackendError as error:
        yield Finding(subject, "wrong", f"they cannot be asked: {error}", "see the server's log")
        return
    wrong = {name: seconds for name, seconds in off.items() if abs(seconds) > APART}
    for name, seconds in wrong.items():
        detail = f"the clock of {name} is {seconds:+.0f} s off: times of drops are told wrongly"
        yield Finding(subject, "warning", detail, "synchronise the clocks of the hosts")
    if not wrong:
        yield Finding(subject, "ok", f"{len(off)} answered; their clocks agree with this one")


def _debts(cache: Cache) -> Iterator[Finding]:
    """Tell of drops that this process still owes the shared tier."""
    if owed := len(cache.engine.pending):
        detail = f"{owed} drops were not acknowledged yet; they are repeated"
        yield Finding(f"drops of {cache.name}", "warning", detail, "keep this process running")
