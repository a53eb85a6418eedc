"""Bounds, clocks, locks, forks and files that vanish."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tiercel.spi import (
    BackendLocation,
    BackendRefused,
    BackendUnavailable,
    Begin,
    DropKey,
    Fill,
    Granted,
    Poll,
    Read,
    Scope,
)
from tiercel.testing import VirtualClock
from tiercel.testing.conformance.channel import names_in, positions_of, start
from tiercel.testing.conformance.tier import LONG, Tier
from tiercel_sqlite import schema, waiting
from tiercel_sqlite.backend import SQLiteBackend

Open = Callable[..., Tier]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def open_tier(tmp_path: Path, clock: VirtualClock) -> Iterator[Open]:
    """Give a function that opens one more client of the same file."""
    opened: list[SQLiteBackend] = []

    def open_one(timeout: float = 60.0, **options: int) -> Tier:
        location = BackendLocation(f"sqlite:///{tmp_path}/c.db", timeout=timeout, options=options)
        opened.append(SQLiteBackend(location, clock.time))
        return Tier(opened[-1], space="tiercel:test")

    yield open_one
    for backend in opened:
        backend.close()


def test_entries_beyond_the_bound_push_the_oldest_out(open_tier: Open) -> None:
    """The number of entries stays within max_entries, and the newest stay."""
    tier = open_tier(max_entries=100)
    keys = [tier.key(f"k{n}") for n in range(300)]
    for key in keys:
        tier.store(key, b"value")
    alive = [n for n, key in enumerate(keys) if tier.value(key)]
    assert 50 <= len(alive) <= 100
    assert alive == list(range(300 - len(alive), 300))


def test_bytes_beyond_the_bound_push_the_oldest_out(open_tier: Open, tmp_path: Path) -> None:
    """Payloads stay within max_bytes, and so, with some slack, does the file."""
    tier = open_tier(max_bytes=2_000_000)
    for n in range(200):
        tier.store(tier.key(f"k{n}"), bytes(50_000))
    alive = [n for n in range(200) if tier.value(tier.key(f"k{n}"))]
    assert len(alive) * 50_000 <= 2_000_000
    assert 199 in alive
    assert (tmp_path / "c.db").stat().st_size < 4_000_000


def test_entry_larger_than_the_bound_is_refused(open_tier: Open) -> None:
    """It would push everything out and not fit even then."""
    tier = open_tier(max_bytes=10_000)
    tier.store(tier.key("small"), b"value")
    with pytest.raises(BackendRefused, match="exceeds max_bytes=10000; raise it in the URL"):
        tier.store(tier.key("large"), bytes(20_000))
    assert tier.value(tier.key("small")) == b"value"


def test_stamps_beyond_the_bound_cost_misses_and_resurrect_nothing(open_tier: Open) -> None:
    """Evicted stamps make entries unreadable for good."""
    tier = open_tier(max_entries=50)
    key = tier.key(partition="first")
    tier.store(key, b"old")
    tier.drop(*(Scope(f"tiercel:test:many{n}") for n in range(500)))
    assert tier.value(key) is None
    assert isinstance(tier.run(Begin(key, LONG, LONG)), Granted)
    assert tier.value(key) is None


def test_expired_entries_are_swept(open_tier: Open, clock: VirtualClock, tmp_path: Path) -> None:
    """What has expired leaves the file although nobody asks for it again."""
    tier = open_tier()
    for n in range(200):
        tier.store(tier.key(f"old{n}"), b"value", life=10.0)
    clock.advance(20.0)
    for n in range(130):
        tier.store(tier.key(f"new{n}"), b"value")
    with sqlite3.connect(tmp_path / "c.db") as db:
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (130,)
    db.close()


@pytest.mark.parametrize("hours", [-1, 1])
def test_entry_when_the_clock_jumps_is_a_miss(
    open_tier: Open, clock: VirtualClock, hours: int
) -> None:
    """Neither direction of a jump lets an entry or a lease outlive its life."""
    tier = open_tier()
    key, leased = tier.key(), tier.key("leased")
    tier.store(key, b"value", life=300.0)
    tier.take(leased, lease=300.0)
    clock.jump(hours * 3600.0)
    assert tier.value(key) is None
    tier.take(leased)
    tier.store(key, b"value", life=300.0)
    assert tier.value(key) == b"value"


def test_remaining_when_the_clock_goes_back_a_little_is_not_beyond_the_life(
    open_tier: Open, clock: VirtualClock
) -> None:
    """A step of NTP does not prolong an entry."""
    tier = open_tier()
    tier.store(tier.key(), b"value", life=300.0)
    clock.jump(-0.5)
    assert tier.run(Read(tier.key())).remaining == 300.0


def test_write_while_another_process_writes_is_unavailable_in_time(
    open_tier: Open, tmp_path: Path
) -> None:
    """A command waits for the write lock no longer than its timeout; reads do not wait."""
    tier = open_tier(timeout=0.1)
    tier.store(tier.key(), b"value")
    other = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match=r"another process held the write lock for 0\.1 s"):
        tier.run(DropKey(tier.key()))
    assert time.monotonic() - began < 20.0
    assert tier.value(tier.key()) == b"value"
    other.execute("ROLLBACK")
    other.close()
    assert tier.run(DropKey(tier.key())) is True


def test_file_when_another_process_is_busy_with_it_then_opening_it_takes_no_longer(
    open_tier: Open, tmp_path: Path
) -> None:
    """A process that stopped while it made the file holds nobody up, thread after thread."""
    tier = open_tier(timeout=0.1)
    other = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    took: list[float] = []

    def read() -> None:
        began = time.monotonic()
        with pytest.raises(BackendUnavailable, match="another process held the write lock"):
            tier.value(tier.key())
        took.append(time.monotonic() - began)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    other.close()
    assert len(took) == 4
    assert min(took) < 4.0
    assert max(took) < 15.0


@pytest.mark.parametrize("happens", ["unreachable", "damaged", "incomplete"])
def test_file_when_it_cannot_be_used_any_more_says_why(
    open_tier: Open, tmp_path: Path, happens: str
) -> None:
    """Whatever happens to the file, callers get one of the two errors that they expect."""
    tier = open_tier()
    tier.store(tier.key(), b"value")
    mailbox = tier.backend.open_mailbox("waiter")
    assert mailbox is not None
    tier.backend.close()
    path = tmp_path / "c.db"
    if happens == "unreachable":
        path.unlink()
        path.symlink_to(path)
    elif happens == "damaged":
        with path.open("r+b") as file:
            file.seek(100)
            file.write(bytes(4000))
    else:
        with sqlite3.connect(path) as db:
            db.execute("DROP TABLE stamps")
        db.close()
    with pytest.raises(BackendUnavailable, match=str(path)) as error:
        tier.value(tier.key())
    assert ("delete it" in str(error.value)) == (happens != "unreachable")
    if happens == "unreachable":
        with pytest.raises(BackendUnavailable):
            mailbox.receive(0.0)


def test_file_when_deleted_is_made_again_by_all_clients(open_tier: Open, tmp_path: Path) -> None:
    """No client stays with the deleted file, where it would miss the drops of the others."""
    one, two = open_tier(), open_tier()
    key = one.key()
    one.store(key, b"old")
    assert two.value(key) == b"old"
    mailbox = two.backend.open_mailbox("two")
    assert mailbox is not None
    for path in tmp_path.glob("c.db*"):
        path.unlink()
    assert two.value(key) is None
    one.store(key, b"new")
    assert two.value(key) == b"new"
    with pytest.raises(BackendUnavailable, match="open another"):
        mailbox.receive(0.0)


def test_file_when_the_machine_was_restarted_starts_empty(
    open_tier: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last drops before a power cut may be lost, so nothing from before it is served."""
    tier = open_tier()
    tier.store(tier.key(), b"value")
    tier.backend.close()
    assert tier.value(tier.key()) == b"value"
    tier.backend.close()
    monkeypatch.setattr(schema, "boot_identity", lambda: "another boot")
    assert tier.run(Read(tier.key())).payload is None


def test_fork_in_use_gives_the_child_connections_of_its_own(open_tier: Open) -> None:
    """Parent and child go on with the same backend, and see each other's fills."""
    tier = open_tier()
    tier.store(tier.key("parent"), b"value")
    pid = os.fork()
    if pid == 0:
        ok = tier.value(tier.key("parent")) == b"value"
        tier.store(tier.key("child"), b"value")
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert tier.value(tier.key("child")) == b"value"
    tier.store(tier.key("again"), b"value")


def test_close_while_others_use_the_backend_disturbs_nobody(open_tier: Open) -> None:
    """Connections in use are closed when they are given back, and reopened when needed."""
    tier = open_tier()
    tier.store(tier.key(), b"value")
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            if tier.value(tier.key()) != b"value":
                wrong.append(1)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(50):
        tier.backend.close()
        time.sleep(0.001)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_changes_when_trimmed_show_a_gap(open_tier: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that was away too long gets messages that do not continue its chain."""
    monkeypatch.setattr(waiting, "KEPT", 20)
    monkeypatch.setattr(waiting, "TRIM_EVERY", 8)
    tier = open_tier()
    positions = start(tier)
    for n in range(100):
        tier.drop(tier.partition(f"p{n}"))
    (channel,) = tier.run(Poll(positions, 0.0)).values()
    (position,) = positions.values()
    assert 20 <= len(channel.messages) < 30
    assert channel.messages[0].position.number > position.number + 1
    assert channel.messages[0].previous != position.nonce


def test_commands_of_many_processes_all_succeed(open_tier: Open) -> None:
    """Four processes that write as fast as they can all get their turn."""
    tier = open_tier()
    positions = start(tier)
    children = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for n in range(150):
                    key = tier.key(f"{child}-{n}")
                    begun = tier.run(Begin(key, LONG, LONG))
                    assert isinstance(begun, Granted)
                    assert tier.run(Fill(key, begun.token, b"value", LONG, announce=True))
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert codes == [0, 0, 0, 0]
    polled = tier.run(Poll(positions, 0.0))
    assert len(names_in(polled)) == 600
    assert positions_of(polled)["changes"].number == positions["changes"].number + 600
