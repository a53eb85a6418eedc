"""Requests whose headers stand in an environment of CGI or WSGI, as with Django and Flask."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from tiercel.contracts.web import WebRequest

_last_keys: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


@lru_cache(1024)
def environ_key(name: str) -> str:
    """Return where an environment of CGI or WSGI has a request header (RFC 3875, section 4.1.18).

    Args:
        name: The header, in any case.
    """
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def environ_values(
    environ: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[str | None, ...] | None:
    """Return the values of several headers, None for each that was not sent.

    Args:
        environ: Where they are.
        names: The headers; quickest if it is the same object at each call.

    Returns:
        None if none of them was sent.
    """
    global _last_keys
    last, keys = _last_keys  # at once, as other threads ask for others
    if last is not names:  # nearly all views ask for the same ones
        keys = tuple(map(environ_key, names))
        _last_keys = names, keys
    # Mostly none is there, and to see that takes less time than to read each.
    return None if environ.keys().isdisjoint(keys) else tuple(map(environ.get, keys))


class EnvironRequest(WebRequest):
    """A request that has its headers in an environment."""

    @property
    @abstractmethod
    def environ(self) -> Mapping[str, Any]:
        """The environment, whose headers are texts."""

    def header(self, name: str) -> str | None:
        found: str | None = self.environ.get(environ_key(name))
        return found

    def given(self, names: Sequence[str]) -> dict[str, str]:
        environ = self.environ
        return {name: environ[key] for name in names if (key := environ_key(name)) in environ}
