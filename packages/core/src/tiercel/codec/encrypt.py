"""Encrypted payloads: AES-256-GCM, bound to their entry."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

from tiercel.codec.keyring import KEY_ID_BYTES, Keyring
from tiercel.codec.wrapping import WrappingCodec
from tiercel.contracts.codec import Codec
from tiercel.errors import ConfigurationError, Undecodable

_NONCE_BYTES = 12
_LABEL = b"tiercel encrypted payload 1"


class EncryptedCodec(WrappingCodec):
    """Encrypts and authenticates what another codec writes (AES-256-GCM, NIST SP 800-38D).

    The entry's key and header are authenticated with it, so no payload can be moved to another
    entry or be replayed under other stamps. Stored: the key's identity, a random nonce of 96
    bits, the ciphertext. Random nonces allow 2^32 writes per key: rotate keys before.

    Args:
        inner: The codec that knows the values.
        keys: Secrets of at least 16 bytes; the first encrypts, all decrypt.

    Raises:
        ConfigurationError: A key is missing or too short, or `cryptography` is not installed.
    """

    def __init__(self, inner: Codec, keys: Sequence[bytes | str]) -> None:
        try:
            aead = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
            self._invalid_tag: type[Exception] = importlib.import_module(
                "cryptography.exceptions"
            ).InvalidTag
        except ImportError as error:
            raise ConfigurationError(
                "encryption needs the library cryptography: pip install 'tiercel[crypto]'"
            ) from error
        self.inner = inner
        self.name = f"{inner.name}+aes"
        keyring = Keyring(keys, "encryption", missing="encryption needs a key in encryption_keys=")
        self._current = keyring.current
        self._ciphers = {identity: aead.AESGCM(key) for identity, key in keyring.keys.items()}

    def encode(self, value: Any, bound_to: bytes) -> bytes:
        payload = self.inner.encode(value, bound_to)
        identity, nonce = self._current, os.urandom(_NONCE_BYTES)
        associated = _LABEL + identity + bound_to
        sealed = self._ciphers[identity].encrypt(nonce, payload, associated)
        return b"".join((identity, nonce, sealed))

    def decode(self, payload: bytes | memoryview, bound_to: bytes) -> Any:
        view = memoryview(payload)
        identity = bytes(view[:KEY_ID_BYTES])
        nonce = bytes(view[KEY_ID_BYTES : KEY_ID_BYTES + _NONCE_BYTES])
        sealed = view[KEY_ID_BYTES + _NONCE_BYTES :]
        if identity not in self._ciphers or len(nonce) != _NONCE_BYTES:
            raise Undecodable(f"codec {self.name!r}: the payload is not encrypted by a known key")
        try:
            opened = self._ciphers[identity].decrypt(nonce, sealed, _LABEL + identity + bound_to)
        except self._invalid_tag as error:
            raise Undecodable(
                f"codec {self.name!r}: the payload is damaged or belongs to another entry"
            ) from error
        return self.inner.decode(opened, bound_to)
