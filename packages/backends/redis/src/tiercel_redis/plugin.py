"""What Tiercel finds through the entry points: one spec per URL scheme, nothing imported early."""

from __future__ import annotations

from tiercel.spi import SPI_VERSION, Backend, BackendLocation, BackendSpec, Capability, hookimpl

SCHEMES = (
    "redis",
    "rediss",
    "redis+unix",
    "redis+sentinel",
    "redis+cluster",
    "valkey",
    "valkeys",
)

CAPABILITIES = frozenset(
    {Capability.MULTI_GET, Capability.ATOMIC, Capability.PUSH, Capability.NATIVE_TTL}
)

OPTIONS = frozenset(
    {
        "client_name",
        "db",
        "max_connections",
        "password",
        "protocol",
        "sentinel_password",
        "sentinel_username",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_timeout",
        "ssl",
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_ciphers",
        "ssl_keyfile",
        "ssl_password",
        "username",
    }
)


def open_backend(location: BackendLocation) -> Backend:
    """Build the backend for a location; connects at the first command.

    Raises:
        ConfigurationError: The URL or an option cannot work.
    """
    from tiercel_redis.backend import RedisBackend

    return RedisBackend(location)


@hookimpl
def tiercel_backends() -> list[BackendSpec]:
    """Provide every scheme that a Redis or Valkey URL may have."""
    return [
        BackendSpec(scheme, open_backend, CAPABILITIES, SPI_VERSION, OPTIONS) for scheme in SCHEMES
    ]
