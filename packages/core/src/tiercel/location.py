"""Where and how a cache keeps its entries: a URL and options, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tiercel.contracts.codec import Codec
from tiercel.errors import ConfigurationError
from tiercel.policy import seconds


@dataclass(frozen=True, slots=True)
class Location:
    """The checked options of a cache. All times are seconds.

    Attributes:
        scheme: The backend's name; `memory` for a cache without shared tier.
        url: The URL without Tiercel's own parameters; may hold a password.
        options: The backend's own parameters.
        memory: Entries that the memory tier holds at most; 0 for none.
        memory_bytes: Bytes that it holds at most, or None.
        max_lag: How long memory may serve what was dropped in another process.
        timeout: How long one command of the shared tier may take.
        prefix: First part of every key in the shared tier.
        codec: Name of the codec, or a codec.
        compress: Algorithm or options of compression, or None.
        guarantee: The weakest guarantee that will do, or None.
        dispatcher: Name of the dispatcher for background work, or None for the default.
        signing_keys: Secrets for signed payloads; the first signs.
        encryption_keys: Secrets for encrypted payloads; the first encrypts.
    """

    scheme: str
    url: str
    options: Mapping[str, Any] = field(default_factory=dict)
    memory: int = 10_000
    memory_bytes: int | None = None
    max_lag: float = 0.5
    timeout: float = 0.2
    prefix: str = "tiercel"
    codec: str | Codec = "safe"
    compress: Any = None
    guarantee: str | None = None
    dispatcher: str | None = None
    signing_keys: tuple[bytes | str, ...] = ()
    encryption_keys: tuple[bytes | str, ...] = ()

    def __repr__(self) -> str:
        return f"Location({self.scheme!r}, prefix={self.prefix!r})"


_FROM_TEXT = {"memory": int, "memory_bytes": int, "max_lag": float, "timeout": float}
_PLAIN = {"prefix", "codec", "guarantee", "dispatcher"}
_ALIASES = {"signing_key": "signing_keys"}
_OBJECTS = {"compress", "signing_keys", "encryption_keys"}


def parse_location(owner: str, url: str | None, options: Mapping[str, Any]) -> Location:
    """Take a cache's URL and keyword options apart; keywords win over the URL.

    Raises:
        ConfigurationError: The URL has no scheme, or a parameter has a wrong value.
    """
    given = {_ALIASES.get(name, name): value for name, value in options.items()}
    if isinstance(given.get("signing_keys"), (str, bytes)):
        given["signing_keys"] = (given["signing_keys"],)
    parts = urlsplit(url or "memory://")
    if not parts.scheme:
        raise ConfigurationError(f"cache {owner!r}: a URL such as redis://localhost/0 is needed")
    query = parse_qsl(parts.query, keep_blank_values=True)
    parameters = {**{_ALIASES.get(name, name): value for name, value in query}, **given}
    common = {k: parameters.pop(k) for k in list(parameters) if k in _FROM_TEXT.keys() | _PLAIN}
    objects = {k: parameters.pop(k) for k in list(parameters) if k in _OBJECTS}
    for name in objects.keys() - given.keys():
        raise ConfigurationError(f"cache {owner!r}: {name} cannot stand in a URL: pass it by name")
    if parts.scheme == "memory" and parameters:
        known = sorted(_FROM_TEXT.keys() | _PLAIN | _OBJECTS)
        raise ConfigurationError(
            f"cache {owner!r}: unknown option {min(parameters)!r}; known: {', '.join(known)}"
        )
    bare = (url or "memory://").partition("#")[0].partition("?")[0]
    checked = {name: _number(owner, name, value) for name, value in common.items()}
    return Location(parts.scheme, bare, parameters, **checked, **objects)


def _number(owner: str, name: str, value: Any) -> Any:
    if name not in _FROM_TEXT:
        return value
    if name == "memory_bytes" and value is None:
        return None
    try:
        number = _FROM_TEXT[name](seconds(value) if not isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ConfigurationError(f"cache {owner!r}: {name}={value!r} must be a number") from error
    if not 0 <= number < math.inf or (number == 0 and name != "memory"):
        raise ConfigurationError(f"cache {owner!r}: {name}={value!r} must be positive")
    return number
