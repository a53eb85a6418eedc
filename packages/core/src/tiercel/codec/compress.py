"""Compressed payloads, bounded on the way out."""

from __future__ import annotations

import importlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, repeat
from types import ModuleType
from typing import Any

from tiercel.codec.wrapping import WrappingCodec
from tiercel.contracts.codec import Codec
from tiercel.errors import ConfigurationError, Undecodable

_AS_IS = 0
_HEAD = struct.Struct(">BQ")
_CHUNK_BYTES = 1 << 20
_DAMAGE = (ValueError, MemoryError)


@dataclass(frozen=True, slots=True)
class _Algorithm:
    """How to compress, and how to give back exactly so many bytes or raise one of `errors`."""

    marker: int
    compress: Callable[[bytes], bytes]
    decompress: Callable[[memoryview, int], bytes | memoryview]
    errors: tuple[type[Exception], ...]


class CompressedCodec(WrappingCodec):
    """Compresses what another codec writes, where that makes it smaller.

    Each payload tells its decompressed size, which is checked against `max_size` before any
    memory is taken, and held to while decompressing. Compressed sizes betray something about
    contents: do not combine with encryption where others choose part of a secret value.

    Args:
        inner: The codec that knows the values.
        algorithm: "zstd", "lz4" or "zlib"; payloads written with another one are misses.
        threshold: Payloads of fewer bytes are stored as they are.
        max_size: Payloads of more bytes are stored as they are, and one that would decompress
            to more is refused.

    Raises:
        ConfigurationError: The algorithm is unknown, its library is not installed, or a size is
            not positive.
    """

    def __init__(
        self,
        inner: Codec,
        algorithm: str = "zstd",
        threshold: int = 1024,
        max_size: int = 64 << 20,
    ) -> None:
        if algorithm not in _ALGORITHMS:
            known = ", ".join(_ALGORITHMS)
            raise ConfigurationError(f"no compression {algorithm!r}: choose one of {known}")
        if threshold < 0 or max_size <= 0:
            raise ConfigurationError(
                f"compression threshold={threshold}, max_size={max_size}: use positive bytes"
            )
        self.inner = inner
        self.name = f"{inner.name}+{algorithm}"
        self.threshold = threshold
        self.max_size = max_size
        self._algorithm = _ALGORITHMS[algorithm]()

    def encode(self, value: Any, bound_to: bytes) -> bytes:
        payload = self.inner.encode(value, bound_to)
        size = len(payload)
        if self.threshold <= size <= self.max_size:
            body = self._algorithm.compress(payload)
            if len(body) + _HEAD.size <= size:
                return _HEAD.pack(self._algorithm.marker, size) + body
        return bytes((_AS_IS,)) + payload

    def decode(self, payload: bytes | memoryview, bound_to: bytes) -> Any:
        view = memoryview(payload)
        if view[:1] == bytes((_AS_IS,)):
            return self.inner.decode(view[1:], bound_to)
        return self.inner.decode(self._decompress(view), bound_to)

    def _decompress(self, view: memoryview) -> bytes | memoryview:
        if len(view) < _HEAD.size or view[0] != self._algorithm.marker:
            raise Undecodable(f"codec {self.name!r}: the payload is not compressed like this")
        _, size = _HEAD.unpack_from(view)
        if not 0 < size <= self.max_size:
            raise Undecodable(f"codec {self.name!r}: {size} bytes exceed max_size={self.max_size}")
        try:
            content = self._algorithm.decompress(view[_HEAD.size :], size)
        except self._algorithm.errors as error:
            raise Undecodable(f"codec {self.name!r}: the payload is damaged") from error
        if len(content) != size:
            raise Undecodable(f"codec {self.name!r}: the payload is damaged")
        return content


def _fill(size: int, inflater: Any, read: Callable[[int], bytes]) -> memoryview:
    """Inflate into one buffer, chunk by chunk: growing or copying one would take twice as much."""
    content = bytearray(size)
    filled = 0
    while filled < size:
        chunk = read(min(_CHUNK_BYTES, size - filled))
        if not chunk:
            raise ValueError("shorter than it says")
        content[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    surplus = b"" if inflater.eof else read(1)
    if surplus or not inflater.eof or inflater.unused_data:
        raise ValueError("longer than it says, or cut off")
    return memoryview(content)


def _zlib() -> _Algorithm:
    def decompress(body: memoryview, size: int) -> memoryview:
        inflater = zlib.decompressobj()
        rest: bytes | memoryview = body

        def read(limit: int) -> bytes:
            nonlocal rest
            chunk = inflater.decompress(rest, limit)
            rest = inflater.unconsumed_tail
            return chunk

        return _fill(size, inflater, read)

    return _Algorithm(1, zlib.compress, decompress, (*_DAMAGE, zlib.error))


def _zstd() -> _Algorithm:
    zstandard = _library("zstd", "zstandard")

    # One object per call: those of zstandard must not be shared by threads.
    def compress(payload: bytes) -> bytes:
        body: bytes = zstandard.ZstdCompressor().compress(payload)
        return body

    def decompress(body: memoryview, size: int) -> bytes:
        # The library allocates what the frame says, whatever limit it is given.
        if zstandard.frame_content_size(body) != size:
            raise ValueError("the frame tells another size")
        content: bytes = zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
        return content

    return _Algorithm(2, compress, decompress, (*_DAMAGE, zstandard.ZstdError))


def _lz4() -> _Algorithm:
    frame = _library("lz4", "lz4.frame")

    def decompress(body: memoryview, size: int) -> memoryview:
        inflater = frame.LZ4FrameDecompressor()
        rest = chain((body,), repeat(b""))  # it keeps what it has not yet used
        return _fill(size, inflater, lambda limit: inflater.decompress(next(rest), limit))

    return _Algorithm(3, frame.compress, decompress, (*_DAMAGE, RuntimeError, EOFError))


def _library(algorithm: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"compression {algorithm!r} needs the library {module.partition('.')[0]}: "
            f"pip install 'tiercel[{algorithm}]'"
        ) from error


_ALGORITHMS: dict[str, Callable[[], _Algorithm]] = {"zstd": _zstd, "lz4": _lz4, "zlib": _zlib}
