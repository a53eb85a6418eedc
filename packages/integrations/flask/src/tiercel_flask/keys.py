"""Key fields of `cached` and `memoize`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from inspect import BoundArguments, Parameter
from typing import Any

from flask import request

from tiercel import ArgsKeyField, ConstantKeyField, KeyConstructor
from tiercel.spi import KeyField, Part, Target, UnkeyableValue


class ReadKeyField(KeyField):
    """What a callable returns that is called without arguments.

    Args:
        name: What it is called in the key.
        read: The callable.
    """

    def __init__(self, name: str, read: Callable[[], Any]) -> None:
        super().__init__()
        self.name = name
        self.read = read

    def parts(self, target: Target) -> Sequence[Part]:
        return [Part(self.name, extract=self.read)]


class CallKeyField(KeyField):
    """What a callable returns that is called as the function is.

    Args:
        make: The callable.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        super().__init__()
        self.make = make

    def parts(self, target: Target) -> Sequence[Part]:
        names = tuple(target.signature.parameters)

        def made(*values: Any) -> Any:
            arguments = dict(zip(names, values, strict=True))
            bound = BoundArguments(target.signature, arguments)
            return self.make(*bound.args, **bound.kwargs)

        return [Part("key", names, made)]


class InstanceKeyField(KeyField):
    """The object that a method belongs to, or the class; entries are dropped together by it.

    An object says by `__cache_key__()`, or by Flask-Caching's `__caching_id__()`, which one it is.
    """

    def __init__(self) -> None:
        super().__init__(partition=True)

    def parts(self, target: Target) -> Sequence[Part]:
        first = next(iter(target.signature.parameters))
        return [Part("instance", (first,), _identity)]


def _identity(instance: Any) -> Any:
    kind = instance if isinstance(instance, type) else type(instance)
    name = f"{kind.__module__}:{kind.__qualname__}"
    if instance is kind:
        return name
    for method in ("__cache_key__", "__caching_id__"):
        identify = getattr(instance, method, None)
        if identify is not None:
            return name, identify()
    raise UnkeyableValue(
        f"a {name} does not say which one it is: give it a method __cache_key__() that returns, "
        'say, its primary key, or leave it out by args_to_ignore=["self"]'
    )


def view_key(
    key_prefix: str | Callable[[], Any],
    make_cache_key: Callable[..., Any] | None,
    query_string: bool | None,
) -> type[KeyConstructor]:
    """Return what tells requests of a view apart, besides what every view has in its key."""
    if make_cache_key is not None:
        return _constructor({"key": CallKeyField(make_cache_key)})
    if callable(key_prefix):
        return _constructor({"key": ReadKeyField("key", key_prefix), **_query(query_string, False)})
    fields: dict[str, KeyField] = {"prefix": ConstantKeyField("prefix", key_prefix)}
    if "%s" not in key_prefix:
        return _constructor({**fields, **_query(query_string, False)})
    fields["scheme"] = ReadKeyField("scheme", lambda: request.scheme)
    fields["host"] = ReadKeyField("host", lambda: request.host.lower())
    fields["path"] = ReadKeyField("path", lambda: f"{request.root_path}{request.path}")
    return _constructor({**fields, **_query(query_string, True)})


def value_key(
    key_prefix: str | Callable[[], Any], make_cache_key: Callable[..., Any] | None
) -> type[KeyConstructor]:
    """Return what tells calls apart of a function that is no view."""
    if make_cache_key is not None:
        return _constructor({"key": CallKeyField(make_cache_key)})
    if callable(key_prefix):
        return _constructor({"key": ReadKeyField("key", key_prefix)})
    return _constructor(
        {"prefix": ConstantKeyField("prefix", key_prefix), "arguments": ArgsKeyField()}
    )


def memoized_key(function: Callable[..., Any], ignored: Collection[str]) -> type[KeyConstructor]:
    """Return what tells calls of a memoized function apart: its arguments but those ignored."""
    parameters = list(inspect.signature(function).parameters.values())
    names = [each.name for each in parameters if each.name not in ignored]
    fields: dict[str, KeyField] = {}
    if _takes_object(parameters) and parameters[0].name in names:
        fields["instance"] = InstanceKeyField()
        names = names[1:]
    if names:
        fields["arguments"] = ArgsKeyField(names)
    return _constructor(fields or {"all": ConstantKeyField("all", "1")})


def _takes_object(parameters: Sequence[Parameter]) -> bool:
    if not parameters or parameters[0].kind is Parameter.VAR_POSITIONAL:
        return False
    return parameters[0].name in ("self", "cls")


def _query(query_string: bool | None, default: bool) -> dict[str, KeyField]:
    wanted = default if query_string is None else query_string
    if not wanted:
        return {}
    return {"query": ReadKeyField("query", lambda: dict(request.args.lists()))}


def _constructor(fields: dict[str, KeyField]) -> type[KeyConstructor]:
    return type("FlaskKey", (KeyConstructor,), dict(fields))
