"""What the plugin declares: capabilities, and options of URLs."""

from __future__ import annotations

from tiercel.spi import Capability

CAPABILITIES = frozenset(
    {
        Capability.MULTI_GET,
        Capability.ATOMIC,
        Capability.PUSH,
        Capability.INDEX,
        Capability.OVERWRITE,
        Capability.NATIVE_TTL,
    }
)

OPTIONS = frozenset({"max_bytes", "max_entries"})
