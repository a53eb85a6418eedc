"""Calls that are computed when an application starts: in the background, once per deploy."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextvars import copy_context
from functools import partial
from types import CodeType
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from tiercel import switch
from tiercel.dispatch import around_tasks, hand_over, warm_task
from tiercel.dispatch.schedule import SCHEDULE, take_turn
from tiercel.engine import sync
from tiercel.errors import ConfigurationError
from tiercel.function import Calls, living_functions
from tiercel.keys.escape import digest
from tiercel.settings import Home

logger = logging.getLogger("tiercel.warmup")

DEPLOY: Final = "TIERCEL_DEPLOY"
"""The environment variable that names a deploy; without it, the code of the function does."""

REMEMBERED: Final = 30 * 86_400.0
"""Seconds for which it is known that a deploy was warmed up."""

Arguments = tuple[Sequence[Any], Mapping[str, Any]]
Function = Calls[Any, Any, Any]


class Warmup:
    """The calls of one function that are to be computed, and where that was started."""

    def __init__(self, calls: Sequence[Arguments]) -> None:
        self.calls = calls
        self.started: WeakSet[Any] = WeakSet()


_warmups: WeakKeyDictionary[Function, Warmup] = WeakKeyDictionary()
_lock = threading.Lock()


def warm_up(function: Function, calls: Sequence[Arguments]) -> None:
    """Have these calls computed as soon as the cache of the function is used."""
    with _lock:
        _warmups[function] = Warmup(calls)


def start_warmups(home: Home) -> None:
    """Start the warm-ups of all functions of a cache, once, without waiting for anything.

    They see the context variables of the caller: which application is running is one of them.
    """
    if not _warmups or switch.is_off():
        return
    with _lock:
        due = list(_due(home))
    if due:
        context, start = copy_context(), partial(_start, due)
        threading.Thread(
            target=context.run, args=(start,), name="tiercel-warmup", daemon=True
        ).start()


def _due(home: Home) -> Iterator[tuple[Function, Sequence[Arguments]]]:
    for function, warmup in list(_warmups.items()):
        if home not in warmup.started and uses(function, home):
            warmup.started.add(home)
            yield function.here(), warmup.calls


def uses(function: Function, home: Home) -> bool:
    """Tell whether this is the cache of a function; binds nothing."""
    try:
        return function._home() is home
    except ConfigurationError:
        return False  # its own is not configured


def use_all(home: Home) -> None:
    """Bind the functions of a cache that this process has not used yet, but others may have."""
    for function in living_functions():
        if function.subject_on(home.engine) is None and uses(function, home):
            _ = function.here().subject


def _start(due: Sequence[tuple[Function, Sequence[Arguments]]]) -> None:
    with around_tasks():
        for function, calls in due:
            for args, kwargs in calls:
                try:
                    _hand_over(function, args, kwargs)
                except Exception:
                    logger.exception("%s could not be warmed up", function.name)


def _hand_over(function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Have one call computed, unless another process of this deploy has done so."""
    subject, call = function.subject, function.call(args, kwargs)
    deploy = os.environ.get(DEPLOY) or fingerprint(function.func)
    turn = take_turn(subject, "warm", f"{call.key.text} {deploy}", REMEMBERED)
    if sync.run(subject.engine, turn):
        hand_over(SCHEDULE.dispatcher(subject), warm_task(subject, call))


def fingerprint(function: Any) -> str:
    """Return a text that changes with the code of a function."""
    code = getattr(function, "__code__", None)
    return digest(repr(_parts(code))) if isinstance(code, CodeType) else ""


def _parts(code: CodeType) -> Sequence[Any]:
    constants = [_constant(each) for each in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, constants


def _constant(value: Any) -> Any:
    """Return what looks the same in every process."""
    if isinstance(value, CodeType):
        return _parts(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else value
