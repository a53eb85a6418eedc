"""Turns a URL and its options into what redis-py needs, or says what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import Struct

from tiercel.spi import BackendLocation, ConfigurationError
from tiercel_redis.declared import OPTIONS, SCHEMES

Address = tuple[str, int]

DEFAULT_PORT = 6379
SENTINEL_PORT = 26379
MAX_CONNECTIONS = 100


class Settings(Struct, frozen=True):
    """How to reach the server or servers of one location.

    Attributes:
        mode: What stands at `addresses`: the server, sentinels, or seeds of a cluster.
        addresses: Host and port; empty for a Unix socket.
        path: The Unix socket; empty otherwise.
        service: The name under which sentinels know the primary.
        tls: Whether connections are encrypted.
        timeout: Seconds that one command may take.
        max_connections: Connections to one server at once, from threads.
        keywords: Arguments of redis-py's connection class.
        sentinel: Arguments of redis-py's client for sentinels.
    """

    mode: Literal["server", "sentinel", "cluster"]
    addresses: tuple[Address, ...]
    path: str
    service: str
    tls: bool
    timeout: float
    max_connections: int
    keywords: Mapping[str, Any]
    sentinel: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Names the store in messages, without credentials."""
        where = self.path or "{}:{}".format(*self.addresses[0])
        more = f" and {len(self.addresses) - 1} more" if len(self.addresses) > 1 else ""
        return f"redis {self.mode} at {where}{more}"


def parse_location(location: BackendLocation) -> Settings:
    """Check a location and translate it.

    Raises:
        ConfigurationError: Unknown scheme or option, or a value that cannot be used. Never
            repeats the URL, which may hold a password.
    """
    url = urlsplit(location.url)
    if url.scheme not in SCHEMES:
        raise ConfigurationError(f"tiercel-redis does not know the URL scheme {url.scheme!r}")
    options = _convert({**dict(parse_qsl(url.query)), **location.options})
    credentials, _, hosts = url.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    if credentials:
        options = {"username": unquote(username) or None, "password": unquote(password)} | options
    mode = _mode(url.scheme)
    service = _take_path(url, options)
    tls = bool(options.pop("ssl", url.scheme in ("rediss", "valkeys")))
    timeout = float(options.pop("socket_timeout", location.timeout))
    _check(mode, options, tls)
    connect_timeout = float(options.pop("socket_connect_timeout", timeout))
    budget = {"socket_timeout": timeout, "socket_connect_timeout": connect_timeout}
    return Settings(
        mode=mode,
        addresses=_addresses(hosts, SENTINEL_PORT if mode == "sentinel" else DEFAULT_PORT)
        if url.scheme != "redis+unix"
        else (),
        path=unquote(url.path) if url.scheme == "redis+unix" else "",
        service=service,
        tls=tls,
        timeout=timeout,
        max_connections=options.pop("max_connections", MAX_CONNECTIONS),
        sentinel=budget | _take_sentinel(options),
        keywords={"protocol": 2, "socket_keepalive": True} | budget | options,
    )


def _mode(scheme: str) -> Literal["server", "sentinel", "cluster"]:
    if scheme == "redis+sentinel":
        return "sentinel"
    return "cluster" if scheme == "redis+cluster" else "server"


def _take_path(url: SplitResult, options: dict[str, Any]) -> str:
    """Read `/db` or `/service/db`, put the number into the options and return the service."""
    if url.scheme == "redis+unix":
        if not url.path:
            raise ConfigurationError("a redis+unix URL needs the path of the socket")
        return ""
    parts = [unquote(part) for part in url.path.split("/") if part]
    service = ""
    if url.scheme == "redis+sentinel":
        if not parts:
            raise ConfigurationError("a redis+sentinel URL needs the service name as its path")
        service = parts.pop(0)
    if len(parts) > 1 or (parts and not parts[0].isdigit()):
        raise ConfigurationError(f"the path of a {url.scheme} URL must end in a database number")
    if parts:
        options.setdefault("db", int(parts[0]))
    return service


def _addresses(hosts: str, default_port: int) -> tuple[Address, ...]:
    found = []
    for host in hosts.split(",") if hosts else ["localhost"]:
        try:
            parts = urlsplit(f"//{host}")
            found.append((parts.hostname or "localhost", parts.port or default_port))
        except ValueError:
            raise ConfigurationError(f"{host!r} is not a host with an optional port") from None
    return tuple(found)


def _take_sentinel(options: dict[str, Any]) -> dict[str, Any]:
    names = [name for name in options if name.startswith("sentinel_")]
    return {name.removeprefix("sentinel_"): options.pop(name) for name in names}


def _check(mode: str, options: Mapping[str, Any], tls: bool) -> None:
    if mode == "cluster" and options.get("db"):
        raise ConfigurationError("a Redis Cluster has database 0 only; remove db from the URL")
    if not tls and (names := sorted(name for name in options if name.startswith("ssl_"))):
        raise ConfigurationError(f"{', '.join(names)} needs TLS: use rediss:// or ssl=true")
    if mode != "sentinel" and any(name.startswith("sentinel_") for name in options):
        raise ConfigurationError("sentinel_* options need a redis+sentinel:// URL")
    if options.get("protocol", 2) not in (2, 3):
        raise ConfigurationError("protocol must be 2 or 3")


def _boolean(text: str) -> bool:
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
        text.lower()
    ]


_CONVERTERS: Mapping[str, Callable[[str], Any]] = {
    "db": int,
    "max_connections": int,
    "protocol": int,
    "socket_connect_timeout": float,
    "socket_keepalive": _boolean,
    "socket_timeout": float,
    "ssl": _boolean,
    "ssl_check_hostname": _boolean,
}


def _convert(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give options from a URL, which are text, their types."""
    if unknown := sorted(set(options) - OPTIONS):
        raise ConfigurationError(
            f"tiercel-redis does not know the option {', '.join(map(repr, unknown))}; "
            f"it knows {', '.join(sorted(OPTIONS))}"
        )
    converted = dict(options)
    for name, convert in _CONVERTERS.items():
        if isinstance(text := options.get(name), str):
            try:
                converted[name] = convert(text)
            except (KeyError, ValueError):
                raise ConfigurationError(f"{name}={text!r} is not a {_kind(name)}") from None
    return converted


def _kind(name: str) -> str:
    return "truth value" if _CONVERTERS[name] is _boolean else "number"
