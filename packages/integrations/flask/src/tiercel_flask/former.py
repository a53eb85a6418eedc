"""Flask-Caching's `CACHE_*`, as Tiercel reads it: which cache is meant."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tiercel import ConfigurationError

Config = Mapping[str, Any]

_OF_MEMCACHED: Final = (
    "Tiercel has no backend for it: use CACHE_TYPE='RedisCache', or TIERCEL_URL with redis:// or "
    "sqlite://"
)


def former_cache(config: Config) -> dict[str, Any] | None:
    """Return the options of the cache that `CACHE_TYPE` names; None if the config has none.

    Raises:
        ConfigurationError: The type, or one of its settings, cannot be had.
    """
    given = config.get("CACHE_TYPE")
    if given is None:
        return None
    name = str(given).rpartition(".")[2]
    make = _TYPES.get(name)
    if make is None:
        close = get_close_matches(name, _TYPES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else _OF_MEMCACHED
        raise ConfigurationError(f"app.config: CACHE_TYPE={given!r}: {hint}")
    for key in ("CACHE_ARGS", "CACHE_SERIALIZER", "CACHE_SOURCE_CHECK"):
        if config.get(key):
            raise ConfigurationError(f"app.config: {key}: {_REFUSED[key]}")
    return {**make(config), **_prefix(config)}


def former_timeout(config: Config) -> float | None:
    """Return `CACHE_DEFAULT_TIMEOUT` in seconds; None: without end."""
    given = config.get("CACHE_DEFAULT_TIMEOUT", 300)
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
        raise ConfigurationError(
            f"app.config: CACHE_DEFAULT_TIMEOUT={given!r} must be seconds or a timedelta"
        )
    return float(seconds) or None


_REFUSED: Final = {
    "CACHE_ARGS": "Tiercel's backends have options by name only: give a URL in TIERCEL_URL",
    "CACHE_SERIALIZER": "say TIERCEL_CODEC='safe', 'signed' or 'pickle' instead",
    "CACHE_SOURCE_CHECK": "say source_check=True where a function is decorated",
}


def _given(config: Config) -> dict[str, Any]:
    """Whatever the other keys tell of, for our own backend in Flask-Caching."""
    if config.get("CACHE_REDIS_CLUSTER"):
        return _cluster(config)
    if config.get("CACHE_REDIS_SENTINELS"):
        return _sentinel(config)
    if config.get("CACHE_REDIS_URL") or config.get("CACHE_REDIS_HOST"):
        return _redis(config)
    if config.get("CACHE_DIR"):
        return _files(config)
    return {"url": os.environ.get("TIERCEL_URL"), **_memory(config), **_options(config)}


def _null(config: Config) -> dict[str, Any]:
    return {"memory": 0}


def _memory(config: Config) -> dict[str, Any]:
    return {"memory": _threshold(config, 500)}


def _files(config: Config) -> dict[str, Any]:
    folder = config.get("CACHE_DIR")
    if not folder:
        raise ConfigurationError("app.config: CACHE_TYPE='FileSystemCache' needs CACHE_DIR")
    path = Path(folder).absolute()
    path.mkdir(parents=True, exist_ok=True)
    return {
        "url": f"sqlite:////{quote(str(path / 'tiercel.db').lstrip('/'))}",
        "max_entries": _threshold(config, 500),
    }


def _redis(config: Config) -> dict[str, Any]:
    url = config.get("CACHE_REDIS_URL")
    if not url:
        host, port = config.get("CACHE_REDIS_HOST", "localhost"), config.get("CACHE_REDIS_PORT")
        if not isinstance(host, str):
            raise ConfigurationError(
                "app.config: CACHE_REDIS_HOST is a client: Tiercel opens its own connections, so "
                "give CACHE_REDIS_URL or the name of the host"
            )
        # An address of version 6 has colons of its own.
        place = f"[{host}]" if ":" in host else host
        url = f"redis://{place}:{port or 6379}"
        return {"url": url, **_login(config), **_db(config), **_more(config)}
    return {"url": url, **_db(config, only_if_given=True), **_more(config)}


def _sentinel(config: Config) -> dict[str, Any]:
    places = config.get("CACHE_REDIS_SENTINELS") or [("127.0.0.1", 26379)]
    master = config.get("CACHE_REDIS_SENTINEL_MASTER") or "mymaster"
    options = {**_login(config), **_db(config), **_more(config)}
    if config.get("CACHE_REDIS_SENTINEL_PASSWORD"):
        options["sentinel_password"] = config["CACHE_REDIS_SENTINEL_PASSWORD"]
    return {"url": f"redis+sentinel://{_hosts(places)}/{quote(master, safe='')}", **options}


def _cluster(config: Config) -> dict[str, Any]:
    places = config.get("CACHE_REDIS_CLUSTER")
    if not places:
        raise ConfigurationError(
            "app.config: CACHE_TYPE='RedisClusterCache' needs CACHE_REDIS_CLUSTER, such as "
            "'one:7000,two:7000'"
        )
    hosts = ",".join(each.strip() for each in str(places).split(","))
    return {"url": f"redis+cluster://{hosts}", **_login(config), **_more(config)}


def _hosts(places: Sequence[Any]) -> str:
    return ",".join(f"{host}:{port}" for host, port in places)


def _login(config: Config) -> dict[str, Any]:
    password = config.get("CACHE_REDIS_PASSWORD")
    return {"password": password} if password else {}


def _db(config: Config, *, only_if_given: bool = False) -> dict[str, Any]:
    db = config.get("CACHE_REDIS_DB")
    return {} if db is None and only_if_given else {"db": int(db or 0)}


def _more(config: Config) -> dict[str, Any]:
    """The size of the memory tier, and options for the client."""
    options = _options(config)
    if "CACHE_THRESHOLD" in config:
        options["memory"] = _threshold(config, 500)
    return options


def _options(config: Config) -> dict[str, Any]:
    return dict(config.get("CACHE_OPTIONS") or {})


def _threshold(config: Config, default: int) -> int:
    given = config.get("CACHE_THRESHOLD", default)
    if type(given) is not int or given < 0:
        raise ConfigurationError(
            f"app.config: CACHE_THRESHOLD={given!r} must be a number of entries"
        )
    return given or 1_000_000  # 0 is no limit in Flask-Caching


def _prefix(config: Config) -> dict[str, Any]:
    given = config.get("CACHE_KEY_PREFIX")
    if given is None:
        return {}
    if not isinstance(given, str):
        raise ConfigurationError(
            "app.config: CACHE_KEY_PREFIX must be a text: what is to differ from call to call "
            "belongs into the key"
        )
    return {"prefix": given.rstrip(":")} if given.rstrip(":") else {}


_TYPES: Final[Mapping[str, Callable[[Config], dict[str, Any]]]] = {
    "backend": _given,
    "NullCache": _null,
    "null": _null,
    "SimpleCache": _memory,
    "simple": _memory,
    "FileSystemCache": _files,
    "filesystem": _files,
    "RedisCache": _redis,
    "redis": _redis,
    "RedisSentinelCache": _sentinel,
    "redissentinel": _sentinel,
    "RedisClusterCache": _cluster,
    "rediscluster": _cluster,
}
