"""Keys for one purpose, derived from a project's secrets, and their rotation."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from tiercel.errors import ConfigurationError

KEY_ID_BYTES = 8
MIN_SECRET_BYTES = 16


class Keyring:
    """The keys of a codec: the first one writes, all of them read.

    To rotate, put the new secret first and drop the old one when what it wrote has expired.

    Args:
        secrets: At least one, each of at least 16 bytes; text is taken as UTF-8.
        purpose: What the keys are for. Other purposes get unrelated keys from the same secrets.
        missing: What an error says if there is no secret.

    Attributes:
        current: The identity of the key that writes; identities are safe to publish.
        keys: Each key, of 32 bytes, by its identity.

    Raises:
        ConfigurationError: A secret is missing or too short.
    """

    def __init__(
        self, secrets: Sequence[bytes | str] | bytes | str, purpose: str, *, missing: str
    ) -> None:
        if isinstance(secrets, bytes | str):
            secrets = (secrets,)
        self.keys: dict[bytes, bytes] = {}
        for position, secret in enumerate(secrets):
            material = secret.encode() if isinstance(secret, str) else bytes(secret)
            if len(material) < MIN_SECRET_BYTES:
                raise ConfigurationError(
                    f"key {position + 1} for {purpose} has {len(material)} bytes: use at least "
                    f"{MIN_SECRET_BYTES} random ones (secrets.token_bytes(32))"
                )
            identity = _derive(material, f"{purpose} id")[:KEY_ID_BYTES]
            self.keys[identity] = _derive(material, purpose)
        if not self.keys:
            raise ConfigurationError(missing)
        self.current = next(iter(self.keys))


def _derive(secret: bytes, purpose: str) -> bytes:
    """Derive 32 bytes by HKDF with SHA-256 (RFC 5869): extract, then one block of expand."""
    extracted = hmac.digest(b"tiercel", secret, "sha256")
    return hmac.digest(extracted, purpose.encode() + b"\x01", "sha256")
