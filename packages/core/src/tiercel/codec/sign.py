"""Signed payloads: nothing is decoded that was not written by a holder of a key."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any

from tiercel.codec.keyring import KEY_ID_BYTES, Keyring
from tiercel.codec.wrapping import WrappingCodec
from tiercel.contracts.codec import Codec
from tiercel.errors import Undecodable

_MAC_BYTES = 32
_LABEL = b"tiercel signed payload 1"


class SignedCodec(WrappingCodec):
    """Signs what another codec writes, and has it read only what is signed.

    The signature is HMAC-SHA256 (RFC 2104) over a label, the key's identity, the entry's key and
    header, and the payload; so no payload can be moved to another entry. Stored: the key's
    identity, the signature, the payload. The bytes do not say which algorithm to use.

    Args:
        inner: The codec that knows the values.
        keys: Secrets of at least 16 bytes; the first signs, all verify.

    Raises:
        ConfigurationError: A key is missing or too short.
    """

    name = "signed"

    def __init__(self, inner: Codec, keys: Sequence[bytes | str] = ()) -> None:
        self.inner = inner
        keyring = Keyring(
            keys,
            "signing",
            missing=f"codec {self.name!r} needs a signing key: set TIERCEL_SIGNING_KEY "
            "or pass signing_key=",
        )
        self._current = keyring.current
        self._macs = {
            identity: hmac.new(key, _LABEL + identity, "sha256")
            for identity, key in keyring.keys.items()
        }

    def encode(self, value: Any, bound_to: bytes) -> bytes:
        payload = self.inner.encode(value, bound_to)
        identity = self._current
        return b"".join((identity, self._sign(identity, payload, bound_to), payload))

    def decode(self, payload: bytes | memoryview, bound_to: bytes) -> Any:
        view = memoryview(payload)
        identity = bytes(view[:KEY_ID_BYTES])
        signature = bytes(view[KEY_ID_BYTES : KEY_ID_BYTES + _MAC_BYTES])
        signed = view[KEY_ID_BYTES + _MAC_BYTES :]
        if identity not in self._macs:
            raise Undecodable(f"codec {self.name!r}: the payload is not signed by a known key")
        if not hmac.compare_digest(signature, self._sign(identity, signed, bound_to)):
            raise Undecodable(
                f"codec {self.name!r}: the signature is not that of this entry and payload"
            )
        return self.inner.decode(signed, bound_to)

    def _sign(self, identity: bytes, payload: bytes | memoryview, bound_to: bytes) -> bytes:
        mac = self._macs[identity].copy()
        # The length keeps a byte from moving unnoticed between what precedes and what follows it.
        mac.update(len(bound_to).to_bytes(8, "big") + bound_to)
        mac.update(payload)
        return mac.digest()
