"""What can be done to entries: drop, refresh, warm. Works on coroutine functions, too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tiercel.engine import sync
from tiercel.inspection.arguments import Call, written_call
from tiercel.inspection.caches import known_cache
from tiercel.inspection.functions import AnyFunction
from tiercel.inspection.receivers import forget_elsewhere, require_live
from tiercel.inspection.records import Done


def drop_call(function: AnyFunction, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Done:
    """Drop the entry of a call, or the partition that leading arguments say.

    Without arguments everything of the function is dropped.

    Raises:
        BadArguments: The entry is known by an object that is not there.
        TypeError: The arguments say neither a call nor a partition.
    """
    engine, what = function.subject.engine, written_call(function.name, args, kwargs)
    start = time.perf_counter()
    if (args or kwargs) and function._fits(args, kwargs):
        forget_elsewhere(function, args, kwargs)
        existed = sync.run(engine, function._deleted(args, kwargs))
        done = "dropped" if existed else "nothing was there"
    else:
        sync.run(engine, function._partition_dropped(args, kwargs))
        done = "partition dropped" if args or kwargs else "everything dropped"
    return Done(what, done, time.perf_counter() - start)


def drop_everything(
    functions: Sequence[AnyFunction], caches: Sequence[str], tags: Sequence[str]
) -> list[Done]:
    """Drop everything of functions, caches or tags.

    Args:
        functions: The functions.
        caches: Names of caches, of which values set by hand and functions known here are dropped.
        tags: Tags, on these caches or else the default one.

    Raises:
        ConfigurationError: No cache has such a name.
    """
    done = [drop_call(each, (), {}) for each in functions]
    for name in caches or (["default"] if tags else []):
        cache, start = known_cache(name), time.perf_counter()
        if tags:
            cache.drop_tags(*tags)
        else:
            cache.clear()
        what = f"tags {', '.join(tags)} of cache {name}" if tags else f"cache {name}"
        done.append(Done(what, "everything dropped", time.perf_counter() - start))
    return done


def refresh_call(
    function: AnyFunction, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Done, Any]:
    """Compute a call now and overwrite its entry; return also the value, None if it failed.

    Raises:
        BadArguments: The function is a method, and its object is not there.
    """
    require_live(function, args)
    what = written_call(function.name, args, kwargs)
    start = time.perf_counter()
    try:
        value = _refreshed(function, args, kwargs)
    except Exception as error:
        failed = f"{type(error).__name__}: {error}"
        return Done(what, "", time.perf_counter() - start, failed), None
    return Done(what, "computed", time.perf_counter() - start), value


def warm_call(function: AnyFunction, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Done:
    """Compute a call and store its result, whatever was stored before; raises likewise."""
    return refresh_call(function, args, kwargs)[0]


def live_calls(function: AnyFunction) -> list[Call]:
    """Return the calls that have an entry which could be served now.

    Raises:
        ConfigurationError: The function keeps no index.
    """
    found = sync.run(function.subject.engine, function._live((), {}))
    return [(tuple(args), dict(kwargs)) for args, kwargs in found]


def _refreshed(function: AnyFunction, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if function.asynchronous:
        return asyncio.run(function.arefresh(*args, **kwargs))
    return function.refresh(*args, **kwargs)
