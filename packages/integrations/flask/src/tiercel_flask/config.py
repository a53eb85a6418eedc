"""What an application's config says to Tiercel: `TIERCEL_*`, or else Flask-Caching's `CACHE_*`."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final

from tiercel import Cache, ConfigurationError
from tiercel_flask.former import former_cache, former_timeout
from tiercel_flask.state import State

PREFIX: Final = "TIERCEL_"

OPTIONS: Final = (
    "MEMORY", "MEMORY_BYTES", "MAX_LAG", "TIMEOUT", "PREFIX", "CODEC", "GUARANTEE", "DISPATCHER",
    "COMPRESS", "SIGNING_KEY", "SIGNING_KEYS", "ENCRYPTION_KEYS",
)  # fmt: skip
"""Options of the default cache, under the names that `tiercel.Cache` has for them."""

_OTHERS: Final = ("URL", "CACHES", "DEFAULT_TIMEOUT", "SIGNALS", "DISPATCHER_SETTINGS")


def read_config(config: Mapping[str, Any]) -> State:
    """Make what an application's config describes.

    Args:
        config: The config.

    Raises:
        ConfigurationError: A key is unknown, or a value cannot work.
        PluginError: A backend is not installed.
    """
    given = {key.removeprefix(PREFIX): config[key] for key in config if key.startswith(PREFIX)}
    _refuse_unknown(given)
    keys = signing_keys(config)
    return State(
        _caches(given, config, keys),
        _default_timeout(given, config),
        bool(given.get("SIGNALS", config.get("CACHE_ENABLE_SIGNALS", False))),
        keys,
        _dispatcher_settings(given.get("DISPATCHER_SETTINGS", {})),
    )


def signing_keys(config: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Return a key for `SECRET_KEY`, which signs, and those for `SECRET_KEY_FALLBACKS`.

    Whoever learns one of them learns nothing of the secret key, nor of keys for other purposes.
    """
    secrets = [config.get("SECRET_KEY"), *(config.get("SECRET_KEY_FALLBACKS") or ())]
    texts = [each.encode() if isinstance(each, str) else bytes(each) for each in secrets if each]
    return tuple(hmac.digest(each, b"tiercel.signing", "sha256") for each in texts)


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    known = (*OPTIONS, *_OTHERS)
    for name in given:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {PREFIX}{close[0]}?" if close else f"known: {', '.join(known)}"
            raise ConfigurationError(f"app.config has no key {PREFIX}{name}; {hint}")
    if "URL" in given and "default" in (given.get("CACHES") or {}):
        raise ConfigurationError(
            "app.config: TIERCEL_URL and TIERCEL_CACHES['default'] mean the same: give one"
        )


def _caches(
    given: Mapping[str, Any], config: Mapping[str, Any], keys: tuple[bytes, ...]
) -> dict[str, Cache]:
    described = given.get("CACHES") or {}
    if not isinstance(described, Mapping):
        raise ConfigurationError(
            f"app.config: TIERCEL_CACHES={described!r} must be a dict of names to URLs or options"
        )
    caches = {each: _make(each, value, keys) for each, value in described.items()}
    if "default" not in caches:
        caches["default"] = _make("default", _default(given, config, bool(keys)), keys)
    return caches


def _default(given: Mapping[str, Any], config: Mapping[str, Any], signs: bool) -> dict[str, Any]:
    """The options of the default cache."""
    options = {name.lower(): given[name] for name in OPTIONS if name in given}
    if "URL" in given:
        return {"url": given["URL"], **options}
    former = former_cache(config)
    if former is None:
        return {"url": os.environ.get("TIERCEL_URL"), **options}
    # What Flask-Caching kept it pickled, so values need not be of a kind that the safe codec knows.
    return {**({"codec": "pickle"} if signs else {}), **former, **options}


def _make(name: str, described: Any, keys: tuple[bytes, ...]) -> Cache:
    if isinstance(described, Cache):
        return described
    options = {"url": described} if isinstance(described, str) else described
    if not isinstance(options, Mapping):
        raise ConfigurationError(
            f"app.config: cache {name!r}: give a URL, a dict of options or a Cache, not "
            f"{described!r}"
        )
    signs = options.keys() & {"signing_key", "signing_keys"} or not keys
    own = {} if signs else {"signing_keys": keys}
    return Cache(**{"name": name, **own, **options})


def _default_timeout(given: Mapping[str, Any], config: Mapping[str, Any]) -> float | None:
    if "DEFAULT_TIMEOUT" not in given:
        return former_timeout(config)
    return seconds_of("TIERCEL_DEFAULT_TIMEOUT", given["DEFAULT_TIMEOUT"])


def seconds_of(owner: str, timeout: Any) -> float | None:
    """Return a timeout as seconds; None, and 0 as Flask-Caching has it, mean without end.

    Raises:
        ConfigurationError: It is no duration.
    """
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if seconds is None or seconds == 0:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
        raise ConfigurationError(f"{owner}={timeout!r} must be seconds or a timedelta")
    return float(seconds)


def _dispatcher_settings(given: Any) -> Mapping[str, Mapping[str, Any]]:
    if isinstance(given, Mapping) and all(isinstance(each, Mapping) for each in given.values()):
        return given
    raise ConfigurationError(
        f"app.config: TIERCEL_DISPATCHER_SETTINGS={given!r} must be a dict of names of "
        "dispatchers to dicts of options"
    )
