"""Texts such as `{request.user.id}`, filled from a request and safe whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any, Final

from tiercel.contracts.key_field import ABSENT
from tiercel.contracts.web import WebRequest
from tiercel.errors import ViewCachingError
from tiercel.keys.lookup import read

Fill = Callable[[WebRequest], Any]
"""Makes a value for one request."""

_PATH: Final = re.compile(r"request(\.[A-Za-z][A-Za-z0-9_]*)+")
_WORDS: Final = frozenset(
    {"method", "scheme", "host", "path", "fullpath", "query", "headers", "cookies", "user"}
)


def value_at(request: WebRequest, path: str) -> Any:
    """Follow a dotted path from a request: attributes or mapping keys, and nothing is called.

    The first name is one of the vocabulary, or an attribute of the framework's request.

    Raises:
        AttributeError: There is no such thing.
    """
    first, *rest = path.split(".")
    value = _first(request, first)
    for name in rest:
        if value is None:
            return None
        value = read(value, name)
        if value is ABSENT:
            raise AttributeError(f"request.{path}: there is no {name!r}")
    return value


def _first(request: WebRequest, name: str) -> Any:
    if name == "COOKIES":
        return request.cookies
    return getattr(request, name) if name in _WORDS else request.attribute(name)


def check_path(owner: str, path: str) -> None:
    """Refuse a path that is none, or could reach what no request means to show.

    Raises:
        ViewCachingError: It has an empty or private name, or is more than names and dots.
    """
    if not _PATH.fullmatch(f"request.{path}"):
        raise ViewCachingError(
            f"{owner}: {path!r} is no path to an attribute of a request: give names and dots only, "
            "such as user.id; none may begin with an underscore"
        )


def compile_value(owner: str, value: Any) -> Fill:
    """Return what makes `value` for a request: texts, at any depth, may be templates.

    Raises:
        ViewCachingError: A template does more than name an attribute of the request.
    """
    if isinstance(value, str):
        return _compile_text(owner, value)
    if isinstance(value, Mapping):
        pairs = [(key, compile_value(owner, item)) for key, item in value.items()]
        return lambda request: {key: fill(request) for key, fill in pairs}
    if isinstance(value, (list, tuple)):
        fills, kind = [compile_value(owner, item) for item in value], type(value)
        return lambda request: kind([fill(request) for fill in fills])
    return lambda request: value


def _compile_text(owner: str, template: str) -> Fill:
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise ViewCachingError(f"{owner}: {template!r}: {error}") from error
    parts: list[tuple[str, str]] = []
    for text, name, spec, conversion in pieces:
        if name is not None and (spec or conversion or not _PATH.fullmatch(name)):
            raise ViewCachingError(
                f"{owner}: {template!r}: braces may hold only paths such as {{request.user.id}}"
            )
        parts.append((text, "" if name is None else name.removeprefix("request.")))
    if not any(path for _, path in parts):
        plain = "".join(text for text, _ in parts)
        return lambda request: plain
    return lambda request: "".join(_piece(request, text, path) for text, path in parts)


def _piece(request: WebRequest, text: str, path: str) -> str:
    return f"{text}{value_at(request, path)}" if path else text


def compile_call(owner: str, spec: Any) -> tuple[Callable[[WebRequest], Sequence[Any]], Fill]:
    """Return what makes the positional and the named arguments of a target.

    Args:
        owner: Names view and target in errors.
        spec: None, or a dict with `args` and `kwargs`, each of which may be left out or None. A
            text for `args` is the only argument.

    Raises:
        ViewCachingError: It is something else.
    """
    given = {} if spec is None else spec
    if not isinstance(given, Mapping) or given.keys() - {"args", "kwargs"}:
        raise ViewCachingError(f"{owner}: {spec!r} must be a dict with 'args' and 'kwargs'")
    args, kwargs = given.get("args"), given.get("kwargs")
    args = (args,) if isinstance(args, str) else args or ()
    if not isinstance(args, (list, tuple)) or not isinstance(kwargs or {}, Mapping):
        raise ViewCachingError(f"{owner}: 'args' must be a tuple or a list, 'kwargs' a dict")
    return compile_value(owner, tuple(args)), compile_value(owner, dict(kwargs or {}))
