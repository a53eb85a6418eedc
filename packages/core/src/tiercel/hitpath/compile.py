"""Generates, per cached function, the function that serves hits from memory."""

from __future__ import annotations

import inspect
import linecache
import time
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, update_wrapper
from inspect import Parameter
from itertools import count as counter
from typing import Any, Literal

from tiercel.errors import ConfigurationError
from tiercel.hitpath.bound import BoundMethod, bound_class
from tiercel.hitpath.source import Names, Source
from tiercel.hitpath.vetted import is_vetted
from tiercel.memory import FunctionTable
from tiercel.memory.late import LateTable

_serial = counter(1)


@dataclass(frozen=True, slots=True)
class HitPath:
    """What was generated for one function.

    Attributes:
        function: To be called instead of the target; for a method it takes the object first.
        key: Called with the same arguments, returns the fast key, or None if there is none.
        source: The generated source.
        hits: Returns how many hits were served.
        reset_hits: Returns the same and starts again at zero.
        set_clock: Called with another clock, for a cache whose clock is not the system's.
        tell: Called with what is to be called on each hit, or None. Puts the variant of the code
            in place that does so, or the one that knows nothing of it.
        bound: For a method: what to call with an object to get the bound method.
    """

    function: Callable[..., Any]
    key: Callable[..., Hashable]
    source: str
    hits: Callable[[], int]
    reset_hits: Callable[[], int]
    set_clock: Callable[[Callable[[], float]], None]
    tell: Callable[[Callable[[], object] | None], None]
    bound: type[BoundMethod] | None = None


def compile_hit_path(
    target: Callable[..., Any],
    *,
    arguments: Sequence[str] | None,
    table: FunctionTable | LateTable,
    slow: Callable[..., Any],
    glance: Callable[..., Any] | None = None,
    clock: Callable[[], float] = time.monotonic,
    ttl: bool = True,
    count: bool = True,
    on_hit: Callable[[], object] | None = None,
    asynchronous: bool | None = None,
    method: Literal["shared", "keyed"] | None = None,
    bound_type: type[BoundMethod] = BoundMethod,
) -> HitPath:
    """Generate the function that serves hits of `target` from `table`.

    Args:
        target: The function to be cached.
        arguments: Names of the parameters whose values make up the fast key; None if no fast key
            is possible, which leaves everything to the slow path. Calls that use a variadic
            parameter named here go there as well.
        table: Where its entries are. Nested partitions are checked as its `partitions` says.
        slow: Called with the caller's arguments whenever there is no hit, outside any exception
            handler. Awaited if the function is asynchronous.
        glance: Where no fast key is possible, called before `slow`, and never awaited; what it
            returns is served unless it is None.
        clock: Monotonic seconds.
        ttl: Whether entries have deadlines. Without, dropping still works.
        count: Whether hits are counted; exact only while no two threads hit at once.
        on_hit: Called on each hit, must not raise; see `HitPath.tell`.
        asynchronous: Whether to generate an `async def`; None: as the target is.
        method: Whether the target's first parameter is an object whose identity is no part of
            the key (`shared`) or in it by its `__cache_key__()` (`keyed`). None: no method.
        bound_type: What bound methods inherit from.

    Raises:
        ConfigurationError: The target has no signature, or not these parameters.
    """
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except ValueError as error:
        raise ConfigurationError(f"{target!r} has no signature: wrap it in a function") from error
    if method and (not parameters or parameters[0].kind > Parameter.POSITIONAL_OR_KEYWORD):
        raise ConfigurationError(f"{target!r} is no method: its first parameter is no object")
    unknown = set(arguments or ()) - {parameter.name for parameter in parameters}
    if unknown:
        raise ConfigurationError(f"{target!r} has no parameter {sorted(unknown)[0]!r}")
    if asynchronous is None:
        asynchronous = inspect.iscoroutinefunction(target)
    names = Names({parameter.name for parameter in parameters})
    source = Source(
        parameters,
        arguments,
        ttl=ttl,
        count=count,
        told=False,
        asynchronous=asynchronous,
        method=method,
        partitions=table.partitions,
        glances=glance is not None,
        names=names,
    )
    given = {
        names.slow: slow,
        names.glance: glance,
        names.clock: clock,
        names.vetted: is_vetted,
        names.type: type,
        names.int: int,
        names.str: str,
        names.Exception: Exception,
    }
    made = _execute(source.text(), target, given)
    bind = made["call"].__globals__.__setitem__
    told = replace(source, told=True)
    tell = _teller(made, partial(bind, names.on_hit), lambda: _execute(told.text(), target, {}))
    if on_hit is not None:
        tell(on_hit)
        source = told
    table.follow(partial(bind, names.table))
    function = _dress(made["call"], target, parameters)
    bound = None
    if method:
        call = _dress(made["bound"], target, parameters)
        bound = bound_class(call, function, target, bound_type)
    key = _dress(made["key"], target, parameters)
    services = made["hits"], made["reset"], partial(bind, names.clock), tell
    return HitPath(function, key, source.text(), *services, bound)


def _teller(
    made: Mapping[str, Any],
    bind: Callable[[Callable[[], object]], None],
    remake: Callable[[], Mapping[str, Any]],
) -> Callable[[Callable[[], object] | None], None]:
    """Return what swaps the code of the generated functions for that of the variant that tells.

    Both have the same free variables, so code fits the closures of the other; and whoever holds
    the functions already gets the new code.

    Args:
        made: The functions by name.
        bind: Called with what the variant is to call.
        remake: Makes the variant.
    """
    swapped = {name: made[name] for name in ("call", "bound") if name in made}
    plain = [function.__code__ for function in swapped.values()]
    telling: list[Any] = []  # kept alive, as the source is for tracebacks

    def tell(on_hit: Callable[[], object] | None) -> None:
        if on_hit is not None:
            bind(on_hit)
            if not telling:
                variant = remake()
                telling.extend(variant[name] for name in swapped)
        codes = [each.__code__ for each in telling] if on_hit is not None else plain
        for function, code in zip(swapped.values(), codes, strict=True):
            function.__code__ = code

    return tell


def _execute(
    source: str, target: Callable[..., Any], given: Mapping[str, object]
) -> dict[str, Any]:
    label = getattr(target, "__qualname__", type(target).__qualname__)
    filename = f"<tiercel hit path {next(_serial)} of {label}>"
    namespace: dict[str, Any] = {"__name__": getattr(target, "__module__", __name__), **given}
    exec(compile(source, filename, "exec"), namespace)
    made: dict[str, Any] = namespace.pop("make")()
    linecache.cache[filename] = len(source), None, source.splitlines(keepends=True), filename
    weakref.finalize(made["call"], linecache.cache.pop, filename, None).atexit = False
    return made


def _dress(
    function: Callable[..., Any], target: Callable[..., Any], parameters: list[Parameter]
) -> Callable[..., Any]:
    """Give a generated function the defaults and the looks of the target."""
    given = [p for p in parameters if p.default is not Parameter.empty]
    keywords = {p.name: p.default for p in given if p.kind is Parameter.KEYWORD_ONLY}
    defaults = tuple(p.default for p in given if p.kind is not Parameter.KEYWORD_ONLY)
    function.__defaults__ = defaults or None
    function.__kwdefaults__ = keywords or None
    return update_wrapper(function, target)
