"""Where and how a cache keeps its entries: a URL and options, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

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
        replay_window: How long a drop is remembered, to be made again should the shared tier come
            back in an earlier state; 0: not at all.
        prefix: First part of every key in the shared tier.
        codec: Name of the codec, or a codec.
        compress: Algorithm or options of compression, or None.
        guarantee: The weakest guarantee that will do, or None.
        dispatcher: Name of the dispatcher for background work, or None for the default.
        events: Whether each process tells those who watch what it does, although nobody asks.
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
    replay_window: float = 60.0
    prefix: str = "tiercel"
    codec: str | Codec = "safe"
    compress: Any = None
    guarantee: str | None = None
    dispatcher: str | None = None
    events: bool = False
    signing_keys: tuple[bytes | str, ...] = ()
    encryption_keys: tuple[bytes | str, ...] = ()

    def __repr__(self) -> str:
        return f"Location({self.scheme!r}, prefix={self.prefix!r})"


_QUOTED = "write a password as urllib.parse.quote(password, safe='') returns it"
_FROM_TEXT = {
    "memory": int,
    "memory_bytes": int,
    "max_lag": float,
    "timeout": float,
    "replay_window": float,
}
_MAY_BE_NOTHING = {"memory", "replay_window"}
_PLAIN = {"prefix", "codec", "guarantee", "dispatcher"}
_NAMES = {"prefix", "dispatcher"}
_FLAGS = {"events"}
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
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
    if url is not None and not isinstance(url, str):
        raise ConfigurationError(f"cache {owner!r}: a URL must be a text, not {url!r}")
    parts = _split(owner, url or "memory://")
    if not parts.scheme:
        raise ConfigurationError(f"cache {owner!r}: a URL such as redis://localhost/0 is needed")
    query = parse_qsl(parts.query, keep_blank_values=True)
    parameters = {**{_ALIASES.get(name, name): value for name, value in query}, **given}
    words = _FROM_TEXT.keys() | _PLAIN | _FLAGS
    common = {k: parameters.pop(k) for k in list(parameters) if k in words}
    objects = {k: parameters.pop(k) for k in list(parameters) if k in _OBJECTS}
    for name in objects.keys() - given.keys():
        raise ConfigurationError(f"cache {owner!r}: {name} cannot stand in a URL: pass it by name")
    if parts.scheme == "memory" and parameters:
        known = sorted(words | _OBJECTS)
        raise ConfigurationError(
            f"cache {owner!r}: unknown option {min(parameters)!r}; known: {', '.join(known)}"
        )
    bare = (url or "memory://").partition("#")[0].partition("?")[0]
    checked = {name: _checked(owner, name, value) for name, value in common.items()}
    return Location(parts.scheme, bare, parameters, **checked, **objects)


def _split(owner: str, url: str) -> SplitResult:
    """Take a URL apart; an error repeats nothing of it, as it may hold a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(f"cache {owner!r}: the URL cannot be read; {_QUOTED}") from None
    behind = f"{parts.path}?{parts.query}".partition("=")[0] + parts.fragment
    if parts.netloc and "@" not in parts.netloc and "@" in behind:
        raise ConfigurationError(f"cache {owner!r}: the URL has an @ behind its host; {_QUOTED}")
    return parts


def _checked(owner: str, name: str, value: Any) -> Any:
    if name in _FLAGS:
        return _flag(owner, name, value)
    if name in _NAMES and not isinstance(value, str) and value is not None:
        raise ConfigurationError(f"cache {owner!r}: {name}={value!r} must be a text")
    return _number(owner, name, value) if name in _FROM_TEXT else value


def _flag(owner: str, name: str, value: Any) -> bool:
    flag = value if isinstance(value, bool) else _TRUTH.get(str(value).lower())
    if flag is None:
        raise ConfigurationError(f"cache {owner!r}: {name}={value!r} must be true or false")
    return flag


def _number(owner: str, name: str, value: Any) -> Any:
    if name == "memory_bytes" and value is None:
        return None
    try:
        number = _FROM_TEXT[name](seconds(value) if not isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ConfigurationError(f"cache {owner!r}: {name}={value!r} must be a number") from error
    if not 0 <= number < math.inf or (number == 0 and name not in _MAY_BE_NOTHING):
        raise ConfigurationError(f"cache {owner!r}: {name}={value!r} must be positive")
    return number
