"""Having work done: merged, handed to dispatchers as tasks, and what is left reported."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

from tiercel.contracts.dispatcher import Dispatcher, TaskKind
from tiercel.dispatch import (
    AsyncioDispatcher,
    FunctionTask,
    InlineDispatcher,
    ahand_over,
    hand_over,
)
from tiercel.dispatch.task import running_loop
from tiercel.engine import aio, sync
from tiercel.engine.effects import Steps
from tiercel.engine.stopped import original
from tiercel.errors import UnknownFunction
from tiercel.invalidation.at_once import dropped_at_once
from tiercel.invalidation.bound import BoundRule, RuledFunction
from tiercel.invalidation.performing import Portion, raise_first
from tiercel.invalidation.registry import all_rules
from tiercel.invalidation.work import Work, merged
from tiercel.plugins import default_registry

log = logging.getLogger("tiercel.invalidation")

_ON_THE_LOOP: Final = AsyncioDispatcher()

LARGEST: Final = 100
"""Targets, or works, that one task has at most; more become several tasks."""


def carry_out(works: Iterable[Work]) -> tuple[Work, ...]:
    """Have done what changes have made necessary, once they are visible to others.

    Equal works are done once. Each is given to its rule's dispatcher; if that does not take it,
    it is done here.

    Returns:
        What could not be done: of an unknown function, failed inline, or not acknowledged yet by
        the shared tier, in which case this process repeats it. Nobody has to do more, unless he
        wants it done even if this process ends now.

    Raises:
        Exception: A rule with `raise_exception=True` failed inline; after all others were done.
    """
    jobs, unknown = _jobs(works)
    for job in jobs:
        _hand_over(job)
    return _settled(jobs, unknown)


async def acarry_out(works: Iterable[Work]) -> tuple[Work, ...]:
    """Do what `carry_out` does, without blocking the running event loop."""
    jobs, unknown = _jobs(works)
    try:
        for job in jobs:
            await ahand_over(job.dispatcher, job.begin())
            job.given = True
    finally:
        # Cancelled: the change has happened nevertheless, and nobody else knows of it.
        for job in jobs:
            if not job.given:
                _hand_over(job)
    return _settled(jobs, unknown)


class Job:
    """What one task does, and what became of it if it was done at once."""

    def __init__(self, portions: Sequence[Portion], dispatcher: Dispatcher) -> None:
        self.portions = portions
        self.dispatcher = dispatcher
        self.given = False
        self.undone: list[Work] = []
        self.errors: list[Exception] = []
        self._thread = 0

    def begin(self) -> FunctionTask:
        """Return the task, to be handed over by this thread."""
        self._thread = threading.get_ident()
        return task_of(self.portions, self._perform)

    def _perform(self) -> Steps[None]:
        outcomes = yield from perform_all(self.portions)
        here = isinstance(self.dispatcher, InlineDispatcher) or (
            self._thread == threading.get_ident()
        )
        if here and not self.given:
            self._note(outcomes)
        raise_first([error for error in outcomes if error is not None])

    def _note(self, outcomes: Sequence[Exception | None]) -> None:
        for portion, error in zip(self.portions, outcomes, strict=True):
            if error is not None and portion.raises:
                self.errors.append(original(error))
            if error is not None or portion.owed:
                self.undone.append(portion.work)


def _hand_over(job: Job) -> None:
    task, dispatcher = job.begin(), job.dispatcher
    if task.asynchronous and isinstance(dispatcher, InlineDispatcher) and running_loop():
        dispatcher = _ON_THE_LOOP  # which cannot be waited for by a thread that it runs in
    hand_over(dispatcher, task)
    job.given = True


def task_of(portions: Sequence[Portion], perform: Any) -> FunctionTask:
    """Return the task that does the work of these portions, all of one cache."""
    first = portions[0]
    engine = first.function.subject.engine
    works = [portion.work for portion in portions]
    return FunctionTask(
        kind=TaskKind.INVALIDATE,
        function=first.function.name,
        cache=engine.name,
        rule=first.work.rule,
        run=lambda: sync.run(engine, perform()),
        arun=lambda: aio.run(engine, perform()),
        asynchronous=any(portion.asynchronous for portion in portions),
        dedup=_digest(works),
        payload=lambda: {"works": [work.parts() for work in works]},
        observers=engine.observers,
    )


def perform_all(portions: Sequence[Portion]) -> Steps[list[Exception | None]]:
    """Do everything, whatever of it fails; return what each portion ended with."""
    outcomes: list[Exception | None] = []
    for portion in portions:
        try:
            yield from portion.perform()
            outcomes.append(None)
        except Exception as error:
            original(error).add_note(f"by rule {portion.work.rule!r} of {portion.work.function}")
            outcomes.append(error)
    return outcomes


def wants_raised(rule: BoundRule | None, dispatcher: str) -> bool | None:
    """Tell whether failures raise: as the rule says, or else as a framework is configured."""
    if rule is not None and rule.rule.raise_exception is not None:
        return rule.rule.raise_exception
    for integration in default_registry().integrations.values():
        configured = integration.raises(dispatcher)
        if configured is not None:
            return configured
    return None


def _jobs(works: Iterable[Work]) -> tuple[list[Job], list[Work]]:
    grouped: dict[Any, tuple[Dispatcher, list[Portion]]] = {}
    unknown: list[Work] = []
    for work in merged(works):
        try:
            if dropped_at_once(work):
                continue
            for portion, dispatcher in _portions(work):
                key = _group(portion, dispatcher)
                grouped.setdefault(key, (dispatcher, []))[1].append(portion)
        except Exception as error:
            log.error("work of rule %r of %s is not done: %s", work.rule, work.function, error)
            unknown.append(work)
    jobs = [
        Job(portions[start : start + LARGEST], dispatcher)
        for dispatcher, portions in grouped.values()
        for start in range(0, len(portions), LARGEST)
    ]
    return jobs, unknown


def _portions(work: Work) -> Iterator[tuple[Portion, Dispatcher]]:
    for function, rule in whose(work):
        dispatcher = function.rule_dispatcher(rule.rule if rule is not None else None)
        raises = wants_raised(rule, dispatcher.name)
        for part in _parts(work):
            portion = Portion(function, rule, part)
            portion.raises = raises
            portion.acknowledged = bool(raises)
            yield portion, dispatcher


def _parts(work: Work) -> Iterator[Work]:
    targets = work.targets
    if len(targets) <= LARGEST:
        yield work
        return
    for start in range(0, len(targets), LARGEST):
        yield replace(work, targets=targets[start : start + LARGEST])


def _group(portion: Portion, dispatcher: Dispatcher) -> Any:
    if portion.rule is None or not portion.rule.rule.batch:
        return object()
    return (id(portion.function.subject.engine), id(dispatcher), portion.asynchronous)


def whose(work: Work) -> list[tuple[RuledFunction, BoundRule | None]]:
    """Return the functions that work is for, with their rule; several may have one name.

    Raises:
        UnknownFunction: There is none in this process.
    """
    if work.origin is not None:
        known_rule, known_function = work.origin
        return [(known_function, known_rule)]
    found: dict[int, tuple[RuledFunction, BoundRule | None]] = {}
    for each in all_rules():
        function = each.function
        if function is None or function.name != work.function:
            continue
        function = function.here()
        if each.name == work.rule:
            found[id(function)] = (function, each)
        else:
            found.setdefault(id(function), (function, None))
    if not found:
        raise UnknownFunction(f"this process has no function {work.function}")
    return list(found.values())


def _settled(jobs: Sequence[Job], unknown: list[Work]) -> tuple[Work, ...]:
    raise_first([error for job in jobs for error in job.errors])
    return (*unknown, *(work for job in jobs for work in job.undone))


def _digest(works: Sequence[Work]) -> str:
    """Return what is the same for tasks that drop the same."""
    if any(work.row is not None for work in works):
        return ""
    texts = [f"{w.cache} {w.function} {w.rule} {t.text}" for w in works for t in w.targets]
    if len(texts) == 1:
        return texts[0]
    return blake2b("\n".join(sorted(texts)).encode(), digest_size=16).hexdigest()
