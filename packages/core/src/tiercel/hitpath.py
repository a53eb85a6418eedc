"""Generates, per cached function, the function that serves hits from memory.

It has the target's own signature, builds the fast key, looks it up, compares one deadline and
returns; whatever else there is to do, it leaves to the slow path. What a policy does not use is
not in its source.
"""

from __future__ import annotations

import functools
import inspect
import linecache
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from inspect import Parameter
from itertools import count as counter
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from tiercel.errors import ConfigurationError
from tiercel.memory import FunctionTable
from tiercel.memory.late import LateTable

_VETTED = frozenset({int, str, bytes, bool, type(None), UUID, date})
_VETTED_EQ = frozenset(kind.__eq__ for kind in (object, int, str, bytes))
_VETTED_HASH = frozenset({Enum.__hash__, int.__hash__, str.__hash__, bytes.__hash__})
_serial = counter(1)


def is_vetted(kind: type) -> bool:
    """Whether values of exactly this type are equal only if they mean the same in a key.

    So `(type(value), value)` may stand for the value. Not so for `0.0`, which equals `-0.0`, for
    `Decimal("1.0")`, which equals `Decimal("1.00")`, and for `(1,)`, which equals `(True,)`.
    """
    return kind in _VETTED or (
        issubclass(kind, Enum) and kind.__eq__ in _VETTED_EQ and kind.__hash__ in _VETTED_HASH
    )


class BoundMethod(Struct, eq=False):
    """A cached method together with the object it was taken from.

    Subclass it to add methods: those find the object in `instance`. What it lacks, it takes from
    the function, so that it passes for a bound method with `inspect`.
    """

    instance: Any

    @property
    def __self__(self) -> Any:
        return self.instance

    def __getattr__(self, name: str) -> Any:
        return getattr(type(self).function, name)  # type: ignore[attr-defined]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.instance is self.instance

    def __hash__(self) -> int:
        return hash((type(self), id(self.instance)))

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.instance, self.__name__)

    def __repr__(self) -> str:
        return f"<bound cached method {self.__qualname__} of {self.instance!r}>"


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
        bound: For a method: what to call with an object to get the bound method.
    """

    function: Callable[..., Any]
    key: Callable[..., tuple[Any, ...] | None]
    source: str
    hits: Callable[[], int]
    reset_hits: Callable[[], int]
    set_clock: Callable[[Callable[[], float]], None]
    bound: type[BoundMethod] | None = None


def compile_hit_path(
    target: Callable[..., Any],
    *,
    arguments: Sequence[str] | None,
    table: FunctionTable | LateTable,
    slow: Callable[..., Any],
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
        clock: Monotonic seconds.
        ttl: Whether entries have deadlines. Without, dropping still works.
        count: Whether hits are counted; exact only while no two threads hit at once.
        on_hit: Called on each hit, must not raise.
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
    names = _Names({parameter.name for parameter in parameters})
    source = _Writer(
        parameters,
        arguments,
        ttl=ttl,
        count=count,
        told=on_hit is not None,
        asynchronous=asynchronous,
        method=method,
        partitions=table.partitions,
        names=names,
    ).source()
    made = _execute(source, target, slow, clock, on_hit)
    table.follow(made["rebind"])
    function = _dress(made["call"], target, parameters)
    bound = None
    if method:
        call = _dress(made["bound"], target, parameters)
        bound = _bound_class(call, function, target, bound_type)
    key = _dress(made["key"], target, parameters)
    return HitPath(function, key, source, made["hits"], made["reset"], made["retime"], bound)


class _Names:
    """The generated code's own names, kept apart from the target's parameters."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken

    def __getattr__(self, role: str) -> str:
        name = role if role in ("type", "Exception") else f"_{role}"
        while name in self._taken:
            name = f"_{name}"
        return name


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the source of a hit path; the options are those of `compile_hit_path`."""

    parameters: list[Parameter]
    arguments: Sequence[str] | None
    ttl: bool
    count: bool
    told: bool
    asynchronous: bool
    method: str | None
    partitions: int
    names: _Names

    def source(self) -> str:
        n = self.names
        inner = [*self._call("call", self.parameters, ""), "", *self._key()]
        if self.method:
            holder = self.parameters[0].replace(name=n.bound)
            receiver = f"{n.bound}.instance"
            inner += ["", *self._call("bound", [holder, *self.parameters[1:]], receiver)]
        inner += ["", *_SERVICES.format(table=n.table, hits=n.hits, clock=n.clock).splitlines()]
        head = f"def make({n.slow}, {n.clock}, {n.on_hit}, {n.vetted}, {n.type}, {n.Exception}):"
        lines = [head, f"    {n.table} = {{}}", f"    {n.hits} = 0", "", *_indented(inner)]
        return "\n".join(lines) + "\n"

    def _call(self, name: str, parameters: list[Parameter], receiver: str) -> list[str]:
        n = self.names
        prefix, wait = ("async ", "await ") if self.asynchronous else ("", "")
        forward = _forwarded(parameters, receiver)
        missed = f"return {wait}{n.slow}({forward})"
        head = f"{prefix}def {name}({_declared(parameters)}):"
        if self.arguments is None:
            return [head, f"    {missed}"]
        body = [f"nonlocal {n.hits}"] if self.count else []
        if variadic := self._variadic():
            body += [f"if {' or '.join(variadic)}:", f"    {missed}"]
        body += ["try:", *_indented(self._lookup(receiver or self._receiver()))]
        body += [f"except {n.Exception}:", "    pass", missed]
        return [head, *_indented(body)]

    def _lookup(self, receiver: str) -> list[str]:
        n = self.names
        lines = self._identify(receiver)
        lines.append(f"{n.entry} = {n.table}[{self._fast_key(receiver)}]")
        checks = [f"{n.clock}() < {n.entry}.deadline"] if self.ttl else []
        checks += [f"{n.entry}.part{'.parent' * level}.alive" for level in range(self.partitions)]
        serve = [f"{n.value} = {n.entry}.value"]
        serve += [f"{n.hits} += 1"] if self.count else []
        serve += [f"{n.entry}.visited = True"]
        serve += [f"{n.on_hit}()"] if self.told else []
        serve += [f"return {n.value}"]
        if checks:
            return [*lines, f"if {' and '.join(checks)}:", *_indented(serve)]
        return [*lines, *serve]

    def _key(self) -> list[str]:
        n = self.names
        head = f"def key({_declared(self.parameters)}):"
        if self.arguments is None:
            return [head, "    return None"]
        receiver = self._receiver()
        kinds = [f"{n.type}({name})" for name in self._keyed()]
        kinds += [f"{n.type}({n.identity})"] if self.method == "keyed" else []
        checks = [f"not {name}" for name in self._variadic()]
        checks += [f"{n.vetted}({kind})" for kind in kinds]
        body = self._identify(receiver)
        body += [f"if {' and '.join(checks) or True}:", f"    return {self._fast_key(receiver)}"]
        return [head, *_indented(body), "    return None"]

    def _identify(self, receiver: str) -> list[str]:
        if self.method == "keyed":
            return [f"{self.names.identity} = {receiver}.__cache_key__()"]
        return []

    def _fast_key(self, receiver: str) -> str:
        n = self.names
        parts = [part for name in self._keyed() for part in (f"{n.type}({name})", name)]
        if self.method == "keyed":
            parts = [f"{n.type}({receiver})", f"{n.type}({n.identity})", n.identity, *parts]
        return f"({', '.join(parts)})"

    def _receiver(self) -> str:
        return self.parameters[0].name if self.method else ""

    def _keyed(self) -> list[str]:
        """The parameters in the fast key, in the order of the signature."""
        wanted = self.arguments or ()
        own = self.parameters[1:] if self.method else self.parameters
        return [p.name for p in own if p.name in wanted and p.kind not in _VARIADIC]

    def _variadic(self) -> list[str]:
        wanted = self.arguments or ()
        return [p.name for p in self.parameters if p.name in wanted and p.kind in _VARIADIC]


_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)

_SERVICES = """\
def rebind(entries):
    nonlocal {table}
    {table} = entries

def retime(clock):
    nonlocal {clock}
    {clock} = clock

def hits():
    return {hits}

def reset():
    nonlocal {hits}
    counted, {hits} = {hits}, 0
    return counted

return locals()"""


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def _declared(parameters: list[Parameter]) -> str:
    """The parameters as in a `def`; defaults are filled in afterwards."""
    parts: list[str] = []
    for index, parameter in enumerate(parameters):
        before = parameters[index - 1].kind if index else None
        if before is Parameter.POSITIONAL_ONLY and parameter.kind is not before:
            parts.append("/")
        if parameter.kind is Parameter.KEYWORD_ONLY and before not in (
            Parameter.KEYWORD_ONLY,
            Parameter.VAR_POSITIONAL,
        ):
            parts.append("*")
        default = "" if parameter.default is Parameter.empty else "=None"
        parts.append(f"{_STARS.get(parameter.kind, '')}{parameter.name}{default}")
    if parameters and parameters[-1].kind is Parameter.POSITIONAL_ONLY:
        parts.append("/")
    return ", ".join(parts)


_STARS = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


def _forwarded(parameters: list[Parameter], receiver: str) -> str:
    """The parameters as in a call; `receiver` stands for the first of them unless empty."""
    parts = [
        f"{parameter.name}={parameter.name}"
        if parameter.kind is Parameter.KEYWORD_ONLY
        else f"{_STARS.get(parameter.kind, '')}{parameter.name}"
        for parameter in parameters
    ]
    return ", ".join([receiver, *parts[1:]] if receiver else parts)


def _execute(source: str, target: Callable[..., Any], *bindings: Any) -> dict[str, Any]:
    label = getattr(target, "__qualname__", type(target).__qualname__)
    filename = f"<tiercel hit path {next(_serial)} of {label}>"
    namespace: dict[str, Any] = {"__name__": getattr(target, "__module__", __name__)}
    exec(compile(source, filename, "exec"), namespace)
    made: dict[str, Any] = namespace["make"](*bindings, is_vetted, type, Exception)
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
    function.__defaults__ = defaults or None  # type: ignore[attr-defined]
    function.__kwdefaults__ = keywords or None  # type: ignore[attr-defined]
    return functools.update_wrapper(function, target)


def _bound_class(
    call: Callable[..., Any],
    function: Callable[..., Any],
    target: Callable[..., Any],
    base: type[BoundMethod],
) -> type[BoundMethod]:
    signature = inspect.signature(target)
    own = signature.replace(parameters=list(signature.parameters.values())[1:])
    namespace = {
        "__call__": call,
        "__doc__": target.__doc__,
        "__module__": target.__module__,
        "__name__": target.__name__,
        "__signature__": own,
        "function": function,
    }
    return type(base)(f"Bound_{target.__name__}", (base,), namespace)
