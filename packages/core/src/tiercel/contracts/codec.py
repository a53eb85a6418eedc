"""The contract of codecs: values to bytes and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class Codec(ABC):
    """Turns values into bytes for a shared tier, and back.

    Attributes:
        name: What `codec=` and URLs call it.
        binds: Whether it uses `bound_to`; where it does not, decoding is given b"" for it.
    """

    name: str
    binds: bool = True

    @abstractmethod
    def encode(self, value: Any, bound_to: bytes) -> bytes:
        """Encode a value.

        Args:
            value: What the function returned.
            bound_to: Key and header of the entry; a signing or encrypting codec authenticates
                them together with the value, so that no payload can be moved to another entry.

        Raises:
            TypeError: The value has a type that this codec does not know; names the type and
                what to do.
        """

    @abstractmethod
    def decode(self, payload: bytes | memoryview, bound_to: bytes) -> Any:
        """Decode what `encode` returned.

        Raises:
            Undecodable: The bytes are damaged, forged, or of another version.
        """

    def for_type(self, annotation: Any) -> Codec:
        """Return the codec to use for values annotated so; by default this one."""
        return self


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """What a plugin returns from `tiercel_codecs`.

    Attributes:
        name: What `codec=` calls it.
        factory: Called with the codec's options, such as `keys` for a signing one.
        spi: The SPI version it was written for.
    """

    name: str
    factory: Callable[[Mapping[str, Any]], Codec]
    spi: tuple[int, int]
