"""What stands on each page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiercel.caches import Cache
from tiercel.configuration import get_cache
from tiercel.console.history import rates_of
from tiercel.console.watching import Watcher
from tiercel.errors import BackendError, ConfigurationError
from tiercel.inspection import (
    BadArguments,
    FunctionCounts,
    FunctionRecord,
    call_from_json,
    explain,
    find_function,
    function_records,
    live_calls,
    peek_value,
    rule_records,
    written_call,
)
from tiercel.oversight import cache_names

MOST_ENTRIES: Final = 200
"""Entries that a page lists."""

Context = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A function among others.

    Attributes:
        name: Its name.
        counts: How all processes served it; None if nobody has told.
        record: How it is cached; None if this process does not know it.
        calls: Calls in each second, over the last minutes.
    """

    name: str
    counts: FunctionCounts | None
    record: FunctionRecord | None
    calls: Sequence[float]


def overview(watcher: Watcher, names: Sequence[str]) -> Context:
    """Return caches, functions and the last drops."""
    counts = {each.function: each for each in watcher.counts()}
    records = {each.name: each for each in function_records()}
    samples = watcher.samples()
    rows = [
        Row(
            name,
            counts.get(name),
            records.get(name),
            [calls for calls, _ in rates_of(samples, name)],
        )
        for name in sorted(counts.keys() | records.keys())
    ]
    rows.sort(key=lambda row: -(row.counts.calls if row.counts else 0))
    return {
        "caches": [_cache(get_cache(name), watcher) for name in names or cache_names()],
        "rows": rows,
        "drops": watcher.drops(),
        "error": watcher.error,
    }


def function_page(watcher: Watcher, name: str) -> Context:
    """Return what is known of one function.

    Raises:
        UnknownFunction: This process has no such function.
    """
    function = find_function(name)
    name = function.name
    (record,) = [each for each in function_records(name) if each.name == name]
    counts = [each for each in watcher.counts() if each.function == name]
    rates = rates_of(watcher.samples(), name)
    entries, note = _entries(function)
    return {
        "record": record,
        "counts": counts[0] if counts else None,
        "rules": [each for each in rule_records(name) if each.function == name],
        "calls": [calls for calls, _ in rates],
        "computations": [computed for _, computed in rates],
        "drops": [each for each in watcher.drops() if each[1].function == name],
        "entries": entries,
        "note": note,
    }


def entry_page(name: str, call: str, *, show_value: bool) -> Context:
    """Return everything that is known of one call.

    Args:
        name: The name of the function.
        call: A JSON list of arguments, or an object of named ones.
        show_value: Whether the value is shown.

    Raises:
        UnknownFunction: This process has no such function.
        BadArguments: The function does not take these.
    """
    function = find_function(name)
    args, kwargs = call_from_json(function, call)
    try:
        found = explain(function, args, kwargs)
    except TypeError as error:
        raise BadArguments(str(error)) from error
    value = repr(peek_value(function, args, kwargs)) if show_value else None
    return {"entry": found, "call": call, "value": value}


def _entries(function: Any) -> tuple[list[tuple[str, str | None]], str]:
    """Return the calls whose entries are live with their JSON, and what is to be said of that."""
    try:
        calls = live_calls(function)
    except (ConfigurationError, BackendError) as error:
        return [], str(error)
    listed = [
        (written_call(function.name.rpartition(".")[2], args, kwargs), _as_json(args, kwargs))
        for args, kwargs in calls[:MOST_ENTRIES]
    ]
    left = len(calls) - len(listed)
    return listed, f"{left} more are not shown." if left else ""


def _as_json(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """Return a call as a link carries it; None if JSON cannot, or has both kinds of arguments."""
    if args and kwargs:
        return None
    try:
        return json.dumps(list(args) if args else dict(kwargs))
    except TypeError:
        return None


def _cache(cache: Cache, watcher: Watcher) -> Mapping[str, Any]:
    return {
        "name": cache.name,
        "shared": type(cache.shared).__name__ if cache.shared is not None else "",
        "guarantee": cache.guarantee if cache.shared is not None else "",
        "watched": cache.name in watcher.watched,
    }
