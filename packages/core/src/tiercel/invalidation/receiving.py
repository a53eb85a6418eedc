"""Work that another process has sent here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tiercel.dispatch import FunctionTask
from tiercel.dispatch.document import Document
from tiercel.engine.effects import Steps
from tiercel.errors import BadMessage, UnknownFunction
from tiercel.invalidation.bound import BoundRule, RuledFunction
from tiercel.invalidation.carrying import perform_all, task_of, wants_raised
from tiercel.invalidation.performing import Portion, raise_first
from tiercel.invalidation.work import Work

Find = Callable[[str, str], RuledFunction]
"""Returns the living function of a name, on a cache; raises `UnknownFunction`."""


def received_work(document: Document, find: Find) -> FunctionTask:
    """Return the task that does what another process has sent.

    It raises what fails, and drops that the shared tier does not acknowledge count as failed:
    this process may end before it could repeat them, whereas the broker does not. A rule with
    `raise_exception=False` fails silently here, too. If one of several functions is unknown, the
    others are served before that is raised.

    Raises:
        BadMessage: The document holds no work of rules.
        UnknownFunction: This process has none of the functions.
    """
    works = document.payload.get("works")
    if not isinstance(works, list) or not works:
        raise BadMessage(f"{document.kind} of {document.function} says nothing to do")
    unknown: list[Exception] = []
    portions = list(_portions([Work.from_parts(each) for each in works], find, unknown))
    if not portions:
        raise unknown[0]
    task = task_of(portions, lambda: _perform(portions, unknown))
    task.id, task.created, task.dedup = document.id, document.created, document.dedup
    task.carry(document.trace, document.dispatcher, document.queue)
    for portion in portions:
        portion.raises = wants_raised(portion.rule, document.dispatcher)
        portion.acknowledged = portion.raises is not False
    return task


def _portions(works: list[Work], find: Find, unknown: list[Exception]) -> Iterator[Portion]:
    for work in works:
        try:
            function = find(work.function, work.cache)
        except UnknownFunction as error:
            unknown.append(error)
        else:
            yield Portion(function, _rule(function, work), work)


def _rule(function: RuledFunction, work: Work) -> BoundRule | None:
    return next((rule for rule in function.rules if rule.name == work.rule), None)


def _perform(portions: list[Portion], unknown: list[Exception]) -> Steps[None]:
    outcomes = yield from perform_all(portions)
    failed = [
        error
        for portion, error in zip(portions, outcomes, strict=True)
        if error is not None and portion.raises is not False
    ]
    raise_first([*failed, *unknown])
