"""Reading from requests and other objects of any framework, by name, importing none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiercel.contracts.key_field import ABSENT


def resolve(value: Any, path: str) -> Any:
    """Follow a dotted path: at each step an attribute or else a mapping's key.

    Returns:
        What stands there; `ABSENT` where a mapping lacks the key or the path ends early at None.

    Raises:
        AttributeError: An object that is no mapping lacks the attribute.
    """
    for name in path.split("."):
        if value is None or value is ABSENT:
            return ABSENT
        value = read(value, name)
    return value


def read(value: Any, name: str) -> Any:
    """Read an attribute or else a mapping's key; `ABSENT` where a mapping has neither."""
    try:
        return getattr(value, name)
    except AttributeError:
        if isinstance(value, Mapping):
            return value.get(name, ABSENT)
        raise


def read_first(request: Any, *paths: str) -> Any:
    """Read the first of several paths that a request has.

    Raises:
        AttributeError: It has none of them.
    """
    for path in paths:
        try:
            found = resolve(request, path)
        except AttributeError:
            continue
        if found is not ABSENT:
            return found
    raise AttributeError(f"{type(request).__name__} has none of: {', '.join(paths)}")


def query_of(request: Any) -> dict[str, list[Any]]:
    """The query parameters of a request, each with all its values in order.

    Reads `query_params` (DRF, Starlette), `GET` (Django) or `args` (Flask, Werkzeug).
    """
    return _multi_values(read_first(request, "query_params", "GET", "args"))


def header_of(request: Any, name: str) -> str | list[str] | None:
    """The value of a header, whatever the case of its name; a list where it came repeatedly."""
    headers = read_first(request, "headers")
    if hasattr(headers, "getlist"):  # Starlette, Werkzeug
        values = headers.getlist(name)
    elif isinstance(headers, dict):
        values = [each for key, each in headers.items() if key.lower() == name.lower()]
    else:
        values = [] if (found := headers.get(name)) is None else [found]
    return values[0] if len(values) == 1 else values or None


def cookie_of(request: Any, name: str) -> Any:
    """The value of a cookie, or None."""
    return read_first(request, "COOKIES", "cookies").get(name)


def method_of(request: Any) -> str:
    """The HTTP method in capitals."""
    return str(read_first(request, "method")).upper()


def host_of(request: Any) -> str:
    """The host with its port, in lower case."""
    found = read_first(request, "get_host", "host", "url.netloc")
    return str(found() if callable(found) else found).lower()


def path_of(request: Any) -> str:
    """The path of the URL, without the query."""
    return str(read_first(request, "path", "url.path"))


def _multi_values(values: Any) -> dict[str, list[Any]]:
    if hasattr(values, "lists"):  # Django, Werkzeug
        return {key: list(found) for key, found in values.lists()}
    collected: dict[str, list[Any]] = {}
    # Starlette's items() holds the last value of each key only.
    for key, value in (values.multi_items if hasattr(values, "multi_items") else values.items)():
        items = value if isinstance(value, (list, tuple)) else [value]
        collected.setdefault(str(key), []).extend(items)
    return collected
