"""How responses are written to a shared tier: as plain lists, which every codec reads quickly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from tiercel.codec.wrapping import WrappingCodec
from tiercel.contracts.codec import Codec
from tiercel.contracts.web import StoredResponse
from tiercel.errors import Undecodable


class ResponseCodec(WrappingCodec):
    """Has another codec write responses as lists of what they consist of.

    Every tuple in a response would cost codec "safe" a call of Python's when it is read. A list
    that is a result itself stands in another list, so that the two are told apart.

    Args:
        inner: The codec that writes everything else as it is.
    """

    def __init__(self, inner: Codec) -> None:
        self.inner = inner
        self.name, self.binds = inner.name, inner.binds

    def encode(self, value: Any, bound_to: bytes) -> bytes:
        if type(value) is StoredResponse:
            written: Any = [
                value.status,
                value.body,
                value.life,
                list(chain.from_iterable(value.headers)),
                list(chain.from_iterable(value.varying)),
            ]
        else:
            written = [value] if type(value) is list else value
        return self.inner.encode(written, bound_to)

    def decode(self, payload: bytes | memoryview, bound_to: bytes) -> Any:
        found = self.inner.decode(payload, bound_to)
        if type(found) is not list:
            return found
        if len(found) == 1:
            return found[0]
        try:
            status, body, life, flat, varying = found
            each = iter(flat)
            headers = tuple(zip(each, each, strict=True))
            return StoredResponse(status, headers, body, life, _pairs(varying) if varying else ())
        except (TypeError, ValueError) as error:
            raise Undecodable(f"codec {self.name!r}: the payload is no response") from error


def _pairs(flat: Sequence[Any]) -> tuple[tuple[Any, Any], ...]:
    each = iter(flat)
    return tuple(zip(each, each, strict=True))
