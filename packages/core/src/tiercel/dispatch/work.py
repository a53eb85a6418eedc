"""Tasks that fill entries: what they do here, and what another process needs to do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiercel.contracts.dispatcher import TaskKind
from tiercel.dispatch.arguments import pack_call
from tiercel.dispatch.document import Document
from tiercel.dispatch.task import FunctionTask
from tiercel.dispatch.values import pack, unpack
from tiercel.engine import aio, sync
from tiercel.engine.build import carry_out_build
from tiercel.engine.builds import Build, Builds, Ledger
from tiercel.engine.effects import Steps
from tiercel.engine.read import fetch
from tiercel.engine.refresh import carry_out, refresh, take_over
from tiercel.engine.state import Call, Right, Subject
from tiercel.engine.turns import renew

Work = Callable[[], Steps[Any]]


def revalidation_task(subject: Subject, call: Call, right: Right) -> FunctionTask:
    """Return the task that refreshes a stale entry under a right that was taken for it."""
    more = {"token": (right.token or b"").hex(), "floor": pack(right.floor, "floor")}
    work = lambda: carry_out(subject, call, right)  # noqa: E731
    return _task(TaskKind.REFRESH, subject, call.args, call.kwargs, work, **more)


def renewal_task(subject: Subject, call: Call, floor: float, turn: bytes) -> FunctionTask:
    """Return the task that refreshes an entry, unless that was done, in a turn that was taken."""
    more = {"floor": pack(floor, "floor"), "turn": turn.hex()}
    work = _work(TaskKind.REFRESH, more, subject, call)
    return _task(TaskKind.REFRESH, subject, call.args, call.kwargs, work, **more)


def refresh_task(subject: Subject, call: Call) -> FunctionTask:
    """Return a task that computes a call now and overwrites its entry, whoever is filling it."""
    work = _work(TaskKind.REFRESH, {}, subject, call)
    return _task(TaskKind.REFRESH, subject, call.args, call.kwargs, work, dedup=call.key.text)


def warm_task(subject: Subject, call: Call) -> FunctionTask:
    """Return a task that fills the entry of a call, unless it is there and fresh."""
    work = _work(TaskKind.WARM, {}, subject, call)
    return _task(TaskKind.WARM, subject, call.args, call.kwargs, work, dedup=call.key.text)


def build_task(subject: Subject, call: Call, build: Build) -> FunctionTask:
    """Return the task of a build, for which the right to fill was taken."""
    parts = {
        "token": (build.right.token or b"").hex(),
        "id": build.id,
        "since": pack(build.since, "since"),
        "floor": pack(build.right.floor, "floor"),
    }
    work = _work(TaskKind.WARM, {"build": parts}, subject, call)
    task = _task(TaskKind.WARM, subject, call.args, call.kwargs, work, build=parts)
    task.id = build.id
    return task


def with_builds(subject: Subject, ledger: Callable[[], Ledger | None]) -> Subject:
    """Return the subject, with builds in the background if the policy says so.

    Args:
        subject: The function.
        ledger: Returns where other processes are told of them, if there is a shared tier.
    """
    policy = subject.policy
    if policy.async_compute and (subject.backend is not None or subject.table is not None):
        shared = None if subject.backend is None else ledger()
        subject.builds = Builds(build_task, shared, policy.async_compute_job_timeout)
    return subject


def matching_task(
    subject: Subject, args: Sequence[Any], kwargs: Mapping[str, Any], work: Work
) -> FunctionTask:
    """Return the task that drops the entries of all calls with these arguments, by `work`."""
    return _task(TaskKind.INVALIDATE, subject, args, kwargs, work, matching=True)


def received_task(document: Document, subject: Subject, call: Call) -> FunctionTask:
    """Return what another process has made one of the tasks above of."""
    task = _task(
        document.kind,
        subject,
        call.args,
        call.kwargs,
        _work(document.kind, document.payload, subject, call),
        dedup=document.dedup,
    )
    task.id, task.created = document.id, document.created
    task.carry(document.trace, document.dispatcher, document.queue)
    return task


def _work(kind: TaskKind, payload: dict[str, Any], subject: Subject, call: Call) -> Work:
    if "build" in payload and subject.builds is not None:
        parts = payload["build"]
        taken, name = bytes.fromhex(parts["token"]), str(parts["id"])
        times = float(unpack(parts["since"])), float(unpack(parts["floor"]))
        return lambda: carry_out_build(subject, call, taken, name, *times)
    if kind is TaskKind.WARM:
        return lambda: fetch(subject, call)
    if "turn" in payload:
        turn, least = bytes.fromhex(payload["turn"]), float(unpack(payload["floor"]))
        return lambda: renew(subject, call, least, turn)
    if "token" not in payload:
        return lambda: refresh(subject, call)
    token, floor = bytes.fromhex(payload["token"]), float(unpack(payload["floor"]))
    return lambda: take_over(subject, call, token, floor)


def _task(
    kind: TaskKind,
    subject: Subject,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    work: Work,
    *,
    dedup: str = "",
    **more: Any,
) -> FunctionTask:
    engine = subject.engine
    return FunctionTask(
        kind=kind,
        function=subject.name,
        cache=engine.name,
        run=lambda: sync.run(engine, work()),
        arun=lambda: aio.run(engine, work()),
        asynchronous=subject.asynchronous,
        dedup=dedup,
        payload=lambda: pack_call(subject.name, subject.target, args, kwargs) | more,
        observers=engine.observers,
    )
