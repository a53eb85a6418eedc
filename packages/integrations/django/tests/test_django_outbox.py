"""Work that survives the process which made it necessary."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import OperationalError, connections, transaction
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone

from packages.integrations.django.tests.ruled import ByWhat, undone
from packages.integrations.django.tests.shop.models import Ledger
from tiercel import InvalidationRule, cache_result
from tiercel.spi import Change, ChangeKind, plan
from tiercel.testing.servers import RedisServer
from tiercel_django import outbox
from tiercel_django.models import OutboxEntry

pytestmark = pytest.mark.django_db(databases=["default", "postgres", "file"], transaction=True)

PATIENCE = 60.0


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A server of this module's own."""
    with RedisServer() as server:
        yield server


@pytest.fixture(params=["file", "postgres"])
def alias(request: pytest.FixtureRequest) -> str:
    """A database that processes share: SQLite, PostgreSQL."""
    return str(request.param)


@pytest.fixture
def durable(redis: RedisServer) -> Iterator[dict[str, Any]]:
    """The settings of a shared cache and an outbox."""
    url = f"{redis.url}?memory=0&timeout=2&prefix=t{uuid4().hex[:8]}"
    given = {"CACHES": {"default": url}, "OUTBOX": True, "OUTBOX_GRACE": 0.05}
    with override_settings(TIERCEL=given):
        yield given


@cache_result(
    key_constructor=ByWhat,
    invalidates_on=[InvalidationRule(Ledger, field_mapping={"what": "name"}, name="by name")],
)
def stamped(what: str) -> str:
    """Return another text each time it is computed."""
    return uuid4().hex


def _entries(alias: str) -> list[OutboxEntry]:
    return list(OutboxEntry.objects.using(alias).all())


def test_change_when_committed_then_entry_is_written_with_it_and_removed(
    alias: str, durable: Any
) -> None:
    """The entry is in the transaction of the change, and gone once its work is done."""
    row = Ledger.objects.using(alias).create(name="a")
    before = stamped("a")
    with transaction.atomic(alias):
        row.save()
        (entry,) = _entries(alias)
        assert json.loads(entry.work)["function"].endswith("stamped")
        row.save()
        assert len(_entries(alias)) == 1, "equal work is stored once"
    assert _entries(alias) == []
    assert stamped("a") != before


def test_change_outside_of_a_transaction_then_gets_one(alias: str, durable: Any) -> None:
    """A single save gets a transaction, so that the entry is committed with the row."""
    row = Ledger.objects.using(alias).create(name="a")
    before = stamped("a")
    with CaptureQueriesContext(connections[alias]) as queries:
        row.save()
    words = ("BEGIN", "UPDATE", 'INSERT INTO "tiercel_outbox"', "COMMIT", "DELETE FROM")
    found = [word for each in queries for word in words if each["sql"].startswith(word)]
    assert tuple(found) == words
    assert stamped("a") != before
    assert _entries(alias) == []


def test_database_gone_after_the_commit_then_save_does_not_raise_and_the_entry_stays(
    alias: str, durable: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Later hooks run, and a relay does the work once more."""
    row = Ledger.objects.using(alias).create(name="a")
    before, ran = stamped("a"), []

    def gone(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith('DELETE FROM "tiercel_outbox"'):
            raise OperationalError("the connection is closed")
        return execute(sql, *rest)

    with connections[alias].execute_wrapper(gone), transaction.atomic(alias):
        row.save()
        transaction.on_commit(lambda: ran.append(1), using=alias)
    assert ran == [1]
    assert stamped("a") != before
    assert "are done, but stay: the connection is closed" in caplog.text
    assert len(_entries(alias)) == 1
    _wait_until_due(alias)
    assert outbox.relay(alias) == (1, 0)


def test_change_when_rolled_back_then_no_entry(alias: str, durable: Any) -> None:
    """Nothing is left of what did not happen, savepoints included."""
    row = Ledger.objects.using(alias).create(name="a")
    before = stamped("a")
    with transaction.atomic(alias):
        with undone(alias):
            row.save()
        assert _entries(alias) == []
    assert stamped("a") == before


def _killed_between_commit_and_drop(change: Callable[[], None], alias: str) -> None:
    """Fork a process that is killed (SIGKILL) right after its commit."""
    committed, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for connection in connections.all(initialized_only=True):
                connection.connection = None  # the parent's
            with transaction.atomic(alias):
                transaction.on_commit(lambda: _say_so_and_wait(write), using=alias)
                change()
        finally:
            os._exit(1)
    os.close(write)
    assert os.read(committed, 1) == b"!"
    os.close(committed)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def _say_so_and_wait(write: int) -> None:
    os.write(write, b"!")
    time.sleep(PATIENCE)


def test_process_killed_between_commit_and_drop_then_the_relay_does_it(
    alias: str, durable: Any
) -> None:
    """`kill -9` loses nothing: the command `relay` drops what the dead process owed."""
    row = Ledger.objects.using(alias).create(name="a")
    before = stamped("a")
    _killed_between_commit_and_drop(row.save, alias)
    assert len(_entries(alias)) == 1
    assert stamped("a") == before, "the process was killed too late to show anything"
    assert _relayed(alias) == [{"database": alias, "done": 1, "failed": 0}]
    assert stamped("a") != before
    assert _entries(alias) == []


def test_process_killed_inside_its_transaction_then_nothing_to_do(alias: str, durable: Any) -> None:
    """What was never committed is no change, whoever dies."""
    row = Ledger.objects.using(alias).create(name="a")

    def kill_before_commit() -> None:
        row.save()
        os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if pid == 0:
        try:
            for connection in connections.all(initialized_only=True):
                connection.connection = None
            with transaction.atomic(alias):
                kill_before_commit()
        finally:
            os._exit(1)
    os.waitpid(pid, 0)
    assert _entries(alias) == []


def test_thread_of_another_process_then_does_it_by_itself(alias: str, durable: Any) -> None:
    """With `OUTBOX_INTERVAL` every process that writes looks after what others leave."""
    row = Ledger.objects.using(alias).create(name="a")
    before = stamped("a")
    _killed_between_commit_and_drop(row.save, alias)
    with override_settings(TIERCEL={**durable, "OUTBOX_INTERVAL": 0.05}):
        Ledger.objects.using(alias).create(name="other").save()
        deadline = time.monotonic() + PATIENCE
        while _entries(alias) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert stamped("a") != before
    assert _entries(alias) == []


def test_shared_tier_down_then_entry_stays_until_it_is_back(
    alias: str, durable: dict[str, Any], redis: RedisServer
) -> None:
    """A drop that no server acknowledged is not done; the relay tries again."""
    row = Ledger.objects.using(alias).create(name="a")
    before = stamped("a")
    redis.pause()
    try:
        row.save()
        assert len(_entries(alias)) == 1
    finally:
        redis.resume()
    _wait_until_due(alias)
    _relayed(alias)
    assert stamped("a") != before
    assert _entries(alias) == []


def test_relays_side_by_side_then_each_entry_is_taken_once(durable: Any) -> None:
    """`SKIP LOCKED` lets several relays work without waiting for one another."""
    works = _owed("postgres", 60)

    def relay() -> int:
        try:
            return sum(outbox.relay("postgres", 5)[0] for _ in range(8))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        done = [future.result(120) for future in [pool.submit(relay) for _ in range(3)]]
    assert sum(done) == works
    assert _entries("postgres") == []


def test_work_of_an_unknown_function_then_put_off_and_told(
    alias: str, durable: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Code of another version may know it: the entry stays, later and later, and says why."""
    _owed(alias, 1)
    for entry in _entries(alias):
        work = json.loads(entry.work) | {"function": "elsewhere:gone"}
        OutboxEntry.objects.using(alias).update(work=json.dumps(work))
    assert outbox.relay(alias) == (0, 1)
    (entry,) = _entries(alias)
    assert (entry.attempts, bool(entry.error)) == (1, True)
    assert entry.due > timezone.now()
    assert "elsewhere:gone" in caplog.text
    assert outbox.relay(alias) == (0, 0)


def test_entry_that_cannot_be_understood_then_others_are_done(alias: str, durable: Any) -> None:
    """Damage to one entry harms no other."""
    _owed(alias, 2)
    first = _entries(alias)[0]
    OutboxEntry.objects.using(alias).filter(pk=first.pk).update(work="{")
    assert outbox.relay(alias) == (1, 1)


def test_database_without_the_table_then_changes_are_not_harmed(
    durable: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the first migration a save works, and the log says what is missing."""
    row = Ledger.objects.using("file").create(name="a")
    before = stamped("a")
    outbox._tables.discard("file")
    with connections["file"].schema_editor() as editor:
        editor.delete_model(OutboxEntry)
    try:
        row.save()
        assert stamped("a") != before
        assert "run manage.py migrate" in caplog.text
        (error,) = run_checks(tags=["tiercel"], databases=["file", "postgres"])
        assert (error.id, "'file'" in error.msg) == ("tiercel.E006", True)
    finally:
        with connections["file"].schema_editor() as editor:
            editor.create_model(OutboxEntry)


def _owed(alias: str, count: int) -> int:
    """Write entries as if their process had died after its commit."""
    for number in range(count):
        row = Ledger(pk=number, name=f"n{number}")
        works = plan(Change(source=Ledger, kind=ChangeKind.UPDATED, old=row, new=row))
        with transaction.atomic(alias):
            outbox.store(alias, works)
    OutboxEntry.objects.using(alias).update(due=timezone.now())
    return count


def _wait_until_due(alias: str) -> None:
    OutboxEntry.objects.using(alias).update(due=timezone.now())


def _relayed(alias: str) -> list[dict[str, Any]]:
    _wait_until_due(alias)
    out = StringIO()
    call_command("tiercel", "relay", "--json", "--database", alias, stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]
