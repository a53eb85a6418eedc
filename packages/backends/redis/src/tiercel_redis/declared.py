"""What the plugin declares: URL schemes, capabilities, and options of URLs."""

from __future__ import annotations

from tiercel.spi import Capability

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
    {
        Capability.MULTI_GET,
        Capability.ATOMIC,
        Capability.PUSH,
        Capability.INDEX,
        Capability.NATIVE_TTL,
        Capability.CLAIM,
        Capability.OVERWRITE,
    }
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
