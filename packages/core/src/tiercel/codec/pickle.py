"""Pickle, for values that no safe codec knows: signed, or not at all."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from tiercel.codec.sign import SignedCodec
from tiercel.contracts.codec import Codec
from tiercel.errors import Undecodable

_PROTOCOL = 5


class PickleCodec(SignedCodec):
    """Stores whatever can be pickled, and unpickles only what is signed with one of its keys.

    Unpickling runs what the bytes say, so whoever holds a key can run code in every process that
    reads the cache. Use codec "safe" where the values allow it.

    Args:
        keys: Secrets of at least 16 bytes; the first signs, all verify.

    Raises:
        ConfigurationError: A key is missing or too short.
    """

    name = "pickle"

    def __init__(self, keys: Sequence[bytes | str] = ()) -> None:
        super().__init__(_UnsignedPickle(), keys)


class _UnsignedPickle(Codec):
    name = "unsigned pickle"

    def encode(self, value: Any, bound_to: bytes) -> bytes:
        try:
            return pickle.dumps(value, _PROTOCOL)
        except Exception as error:  # __reduce__ of any class may raise anything
            raise TypeError(
                f"codec 'pickle' cannot store this {type(value).__qualname__} ({error}): "
                "return something that can be pickled"
            ) from error

    def decode(self, payload: bytes | memoryview, bound_to: bytes) -> Any:
        try:
            return pickle.loads(payload)
        except Exception as error:  # a class that moved or changed may raise anything
            raise Undecodable(
                f"codec 'pickle' cannot restore this value: {type(error).__name__}: {error}"
            ) from error
