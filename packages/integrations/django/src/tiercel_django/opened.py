"""The Tiercel caches behind `TiercelCache`: one for all threads that have the same settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings

from tiercel import Cache, ConfigurationError, Space, TiercelError, get_cache
from tiercel_django.conf import Problem

SPACE = "django"
_CODEC = "pickle"  # signed, with a key that is derived of SECRET_KEY
_NOWHERE = "memory://"
_OWN = ("MAX_ENTRIES", "CULL_FREQUENCY")

_caches: dict[tuple[str, str], Cache] = {}


def open_space(location: object, options: Mapping[str, Any]) -> Callable[[], Space]:
    """Return what returns the values of a cache of Django.

    Args:
        location: A URL, the name of a configured cache, or nothing.
        options: `OPTIONS`.

    Raises:
        ConfigurationError: The location or an option cannot work. Whether a configured cache has
            the name is seen at the first use.
    """
    cache = open_cache(location, options)
    return lambda: cache().space(SPACE, _CODEC)


def open_cache(location: object, options: Mapping[str, Any]) -> Callable[[], Cache]:
    """Return what returns the cache behind a cache of Django; raises as `open_space` does."""
    text = _text(location)
    if text and "://" not in text:
        if options:
            raise ConfigurationError(
                f"CACHES: LOCATION={text!r} is the name of a cache, so its options stand in "
                f"TIERCEL; remove {sorted(options)[0]!r} from OPTIONS. A URL would take them"
            )
        return lambda: get_cache(text)
    cache = _open(text or _NOWHERE, options)
    return lambda: cache


def alias_problems() -> list[Problem]:
    """Say which aliases of `CACHES` have settings that cannot work, and why."""
    found: list[Problem] = []
    for alias, each in settings.CACHES.items():
        if each.get("BACKEND") == "tiercel_django.cache.TiercelCache":
            try:
                open_space(each.get("LOCATION"), each.get("OPTIONS") or {})()
            except TiercelError as error:
                found.append(Problem(3, f"CACHES[{alias!r}]: {error}", "The cache is not there."))
    return found


def opened() -> Sequence[Cache]:
    """Return the caches that were opened for URLs."""
    return list(_caches.values())


def _text(location: object) -> str:
    given = location
    if isinstance(given, (list, tuple)) and len(given) == 1:
        given = given[0]
    if given is None or isinstance(given, str):
        return given or ""
    raise ConfigurationError(
        f"CACHES: LOCATION={location!r} must be one URL such as redis://localhost:6379/1, the "
        "name of a cache in TIERCEL, or nothing for memory only"
    )


def _open(url: str, options: Mapping[str, Any]) -> Cache:
    identity = url, repr(sorted(options.items()))
    cache = _caches.get(identity)
    if cache is None:  # another thread may make one, too, of which nobody hears
        cache = _caches.setdefault(identity, Cache(url, **_translated(url, options)))
    return cache


def _translated(url: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of Tiercel for those of Django."""
    if "codec" in {**dict(parse_qsl(urlsplit(url).query)), **options}:
        raise ConfigurationError(
            "CACHES: a cache of Django must take every value that can be pickled, so TiercelCache "
            "has no codec= to choose: it signs what it pickles with SECRET_KEY"
        )
    given = {name: value for name, value in options.items() if name not in _OWN}
    if "MAX_ENTRIES" in options:
        given.setdefault("memory", options["MAX_ENTRIES"])
    return {"name": _name(url, options), **given}


def _name(url: str, options: Mapping[str, Any]) -> str:
    """What traces call the cache: after the first alias that has these settings."""
    places = (url, [url], (url,), *(("", None) if url == _NOWHERE else ()))
    for alias, each in settings.CACHES.items():
        if each.get("LOCATION") in places and each.get("OPTIONS", {}) == options:
            return f"django.{alias}"
    return "django"
