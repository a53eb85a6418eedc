"""Functions with an index: which entries are live, and dropping those of certain arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from tiercel.contracts.backend import Scope
from tiercel.dispatch import matching_task
from tiercel.engine.drop import drop_scopes
from tiercel.engine.effects import Await, Enqueue, Steps
from tiercel.engine.index import Arguments, drop_matching, live_entries
from tiercel.engine.signal import Signal
from tiercel.engine.state import Call, Subject
from tiercel.errors import BackendUnavailable, ConfigurationError
from tiercel.invalidation.bound import BoundRule
from tiercel.keys.plan import KeyPlan
from tiercel.memory import Entry, Partition
from tiercel.notes import FunctionNotes
from tiercel.settings import Settings

DEFAULT_LIMIT: Final = 10_000
"""Entries of a function that its index keeps, unless told otherwise."""

PROMPT: Final = 0.1
"""Seconds that a caller waits for a search in this process, to tell how much it has dropped."""


class LiveCalls(list[Arguments]):
    """The arguments of calls whose entries are live, as pairs of positional ones and keywords.

    Attributes:
        complete: Whether there is no other. False if entries may be missing from the index, or
            the arguments of one are not known.
    """

    complete: bool = True


class IndexedFunction(Protocol):
    """A cached function, as far as finding its entries needs one."""

    name: str
    func: Callable[..., Any]
    plan: KeyPlan
    settings: Settings

    @property
    def rules(self) -> Sequence[BoundRule]: ...

    @property
    def subject(self) -> Subject: ...

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call: ...


def limit_of(owner: str, index: Any) -> int:
    """Return how many entries an index keeps, as the option says; 0 for no index.

    Raises:
        ConfigurationError: It is neither a truth value nor a positive number.
    """
    if isinstance(index, bool):
        return DEFAULT_LIMIT if index else 0
    if not isinstance(index, int) or index < 1:
        raise ConfigurationError(
            f"{owner}: index={index!r} must be True, False or a number of entries, 1 or more"
        )
    return index


def keep_index(subject: Subject, function: IndexedFunction) -> Subject:
    """Return the subject, with an index if the function or one of its rules asks for one."""
    rewarms = any(each.rule.rewarm for each in function.rules)
    limit = limit_of(function.name, function.settings.index or rewarms)
    if limit:
        subject.keep_index(FunctionNotes(subject, function.func, function.plan), limit)
    return subject


def live_calls(function: IndexedFunction, scopes: Sequence[Scope]) -> Steps[LiveCalls]:
    """Return the calls whose entries in these scopes could be served now.

    A call whose key depends on more than its arguments counts if its key would be the same here.
    """
    entries = yield from live_entries(function.subject, scopes)
    calls = LiveCalls()
    calls.complete = entries.complete
    for entry in entries.found:
        arguments = entry.arguments()
        if arguments is not None and function.call(*arguments).key.text == entry.key.text:
            calls.append(arguments)
        else:
            calls.complete = False
    return calls


def drop_calls(
    function: IndexedFunction, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Steps[int]:
    """Drop the entries whose calls have these arguments; return how many were listed.

    Raises:
        ConfigurationError: The function has no index.
        TypeError: It has no such arguments, or none are given.
    """
    notes = notes_of(function)
    if not args and not kwargs:
        raise TypeError(
            f"{function.name}: say at least one argument; invalidate_all() drops everything"
        )
    return (yield from drop_matching(function.subject, notes.wanted(args, kwargs)))


def drop_for_sure(
    function: IndexedFunction, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Steps[int]:
    """Do the same for another process.

    Raises:
        BackendUnavailable: The shared tier has not acknowledged it. This process would repeat it,
            but may end before it can.
    """
    dropped = yield from drop_calls(function, args, kwargs)
    if function.subject.engine.pending:
        raise BackendUnavailable(f"{function.name}: a drop is not acknowledged yet")
    return dropped


def drop_some(
    function: IndexedFunction, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Steps[tuple[int, bool]]:
    """Drop the entries whose calls have these arguments, in the cheapest way there is.

    Arguments that say a partition cost one write. Others are looked for in the index, by a task.

    Returns:
        How many entries are known to match, and whether the task goes on.

    Raises:
        ConfigurationError: There is neither such a partition nor an index.
        TypeError: The function has no such arguments, or none of the key are given.
    """
    subject = function.subject
    scope = _partition_of(function, args, kwargs)
    if scope is not None:
        count = yield from _count(subject, scope)
        yield from drop_scopes(subject, scope)
        return count, False
    if subject.notes is None:
        raise ConfigurationError(
            f"{function.name}: these arguments say no partition: leading ones need "
            "cache_key_with_full_args=True or key fields with partition=True, any others need "
            "index=True"
        )
    notes_of(function).wanted(args, kwargs)
    return (yield from _search(function, args, kwargs))


def _partition_of(
    function: IndexedFunction, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Scope | None:
    """Return the partition that holds just the entries with these arguments, if there is one."""
    plan = function.plan
    try:
        given = set(plan.signature.bind_partial(*args, **kwargs).arguments)
    except TypeError as error:
        raise TypeError(f"{function.name}: {error}") from None
    given &= {name for field in plan.fields for name in field.arguments}
    if not given:
        raise TypeError(f"{function.name}: say at least one argument that its key depends on")
    said = set[str]()
    for field in plan.partition:
        if not given.issuperset(field.arguments):
            break
        said.update(field.arguments)
    return plan.partition_scope(*args, **kwargs) if given == said else None


def _count(subject: Subject, scope: Scope) -> Steps[int]:
    """Return how many entries in a partition are known: listed, or else in memory here."""
    if subject.notes is not None:
        return len((yield from live_entries(subject, [scope])).found)
    entries = subject.table or ()
    return sum(1 for entry in entries if scope.name in _names(entry))


def _names(entry: Entry) -> Iterator[str]:
    """Yield the names of the partitions around an entry."""
    cell: Partition | None = entry.part
    while cell is not None:
        yield cell.name
        cell = cell.parent


def _search(
    function: IndexedFunction, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Steps[tuple[int, bool]]:
    """Have entries looked for and dropped by a task; one that nobody takes is done at once."""
    subject, over, counted = function.subject, Signal(), [0]

    def search() -> Steps[int]:
        counted[0] = yield from drop_calls(function, args, kwargs)
        over.set()
        return counted[0]

    try:
        dispatcher = subject.dispatcher()
        yield Enqueue(dispatcher, matching_task(subject, args, kwargs, search))
    except Exception as error:
        subject.report("entries could not be dropped in the background; doing it here", error)
        return (yield from search()), False
    here = over.is_set or not dispatcher.crosses_processes
    done = here and (yield Await(over, PROMPT))
    return counted[0], not done


def notes_of(function: IndexedFunction) -> FunctionNotes:
    """Return the notes of a function.

    Raises:
        ConfigurationError: It has no index.
    """
    notes = function.subject.notes
    if not isinstance(notes, FunctionNotes):
        raise ConfigurationError(
            f"{function.name} keeps no index of its entries: decorate it with index=True"
        )
    return notes
