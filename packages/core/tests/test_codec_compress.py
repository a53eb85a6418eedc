"""Compression pays for itself, and is bounded on the way out."""

from __future__ import annotations

import hashlib
import importlib
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tiercel.codec import CompressedCodec, SafeCodec
from tiercel.contracts.codec import Codec
from tiercel.errors import ConfigurationError, Undecodable

ALGORITHMS = ("zstd", "lz4", "zlib")
MARKERS = {"zlib": 1, "zstd": 2, "lz4": 3}
MIB = 1 << 20


class Length(Codec):
    """Decodes to the number of bytes it was given, without keeping them."""

    name = "length"

    def encode(self, value: Any, bound_to: bytes) -> bytes:
        return bytes(value)

    def decode(self, payload: bytes | memoryview, bound_to: bytes) -> Any:
        return len(payload)


def _compress(algorithm: str, content: bytes) -> bytes:
    if algorithm == "zlib":
        return zlib.compress(content)
    if algorithm == "zstd":
        return zstandard.ZstdCompressor().compress(content)
    return bytes(importlib.import_module("lz4.frame").compress(content))


def _frame(algorithm: str, size: int, body: bytes) -> bytes:
    return struct.pack(">BQ", MARKERS[algorithm], size) + body


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(size=st.integers(0, 5000), value=st.binary(max_size=50))
@settings(max_examples=40, deadline=None)
def test_value_when_compressed_then_comes_back(algorithm: str, size: int, value: bytes) -> None:
    """Values below and above the threshold come back, from bytes and from a view."""
    codec = CompressedCodec(SafeCodec(), algorithm)
    stored = codec.encode([value * (size // 50 + 1), (1,)], b"")
    for form in (stored, memoryview(stored)):
        assert codec.decode(form, b"") == [value * (size // 50 + 1), (1,)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_payload_when_it_would_not_shrink_then_is_stored_as_it_is(algorithm: str) -> None:
    """Small and random payloads cost one byte, large repetitive ones shrink."""
    codec = CompressedCodec(Length(), algorithm, threshold=100)
    noise = hashlib.shake_256(b"seed").digest(1600)
    assert codec.encode(b"a" * 99, b"") == b"\0" + b"a" * 99
    assert codec.encode(noise, b"") == b"\0" + noise
    assert len(codec.encode(b"a" * 1000, b"")) < 100


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("claim", ["true size", "the cap", "one byte"])
def test_zip_bomb_when_decoded_then_is_refused_within_the_cap(algorithm: str, claim: str) -> None:
    """A bomb is refused whatever size it claims, with a peak below twice the cap."""
    cap, size = 4 * MIB, 64 * MIB
    sizes = {"true size": size, "the cap": cap, "one byte": 1}
    bomb = _frame(algorithm, sizes[claim], _compress(algorithm, bytes(size)))
    codec = CompressedCodec(Length(), algorithm, max_size=cap)
    assert _peak_of(codec, bomb, refused=True) < 2 * cap


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_payload_when_as_large_as_allowed_then_peak_stays_below_twice_the_cap(
    algorithm: str,
) -> None:
    """The largest genuine payload is read within the same bound."""
    cap = 8 * MIB
    codec = CompressedCodec(Length(), algorithm, max_size=cap)
    stored = codec.encode(bytes(cap), b"")
    assert len(stored) < cap // 10
    assert _peak_of(codec, stored, refused=False) < 2 * cap


def _peak_of(codec: Codec, stored: bytes, *, refused: bool) -> int:
    tracemalloc.start()
    try:
        if refused:
            with pytest.raises(Undecodable):
                codec.decode(stored, b"")
        else:
            codec.decode(stored, b"")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_zstd_frame_when_its_header_claims_more_than_ours_then_is_refused_unread() -> None:
    """The size in zstd's own header cannot make the library allocate more."""
    header = b"\x28\xb5\x2f\xfd" + b"\xe0" + struct.pack("<Q", 1 << 40)
    codec = CompressedCodec(Length(), "zstd")
    assert _peak_of(codec, _frame("zstd", 100, header + b"\0" * 20), refused=True) < MIB


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_value_when_larger_than_max_size_then_is_stored_as_it_is(algorithm: str) -> None:
    """What could not be decompressed again is not compressed."""
    codec = CompressedCodec(Length(), algorithm, threshold=0, max_size=500)
    assert codec.decode(codec.encode(b"a" * 501, b""), b"") == 501
    assert codec.encode(b"a" * 501, b"")[0] == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_payload_when_damaged_then_undecodable_or_another_value(algorithm: str) -> None:
    """Cut, flipped and extended payloads raise nothing but Undecodable."""
    codec = CompressedCodec(SafeCodec(), algorithm, threshold=10)
    stored = codec.encode([{"name": f"name {i}"} for i in range(40)], b"")
    assert stored[0] == MARKERS[algorithm]
    for end in range(len(stored)):
        with pytest.raises(Undecodable):
            codec.decode(stored[:end], b"")
    for position in range(len(stored)):
        flipped = bytearray(stored)
        flipped[position] ^= 0x55
        try:
            codec.decode(bytes(flipped), b"")
        except Undecodable:
            continue
    with pytest.raises(Undecodable):
        codec.decode(stored + b"\0", b"")


def test_payload_when_written_without_compression_or_with_another_then_undecodable() -> None:
    """The reader chooses the algorithm; a change of configuration makes misses."""
    value = ["x" * 2000]
    plain = SafeCodec()
    zlib_codec, lz4_codec = CompressedCodec(plain, "zlib"), CompressedCodec(plain, "lz4")
    for reader, stored in (
        (zlib_codec, plain.encode(value, b"")),
        (zlib_codec, plain.encode(1, b"")),
        (zlib_codec, lz4_codec.encode(value, b"")),
        (plain, zlib_codec.encode(value, b"")),
        (plain, zlib_codec.encode(1, b"")),
    ):
        with pytest.raises(Undecodable):
            reader.decode(stored, b"")


@pytest.mark.parametrize(("algorithm", "library"), [("zstd", "zstandard"), ("lz4", "lz4")])
def test_algorithm_when_library_is_missing_then_error_says_what_to_install(
    algorithm: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Core needs neither library; asking for one that is missing names the extra."""

    def refuse(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(
        ConfigurationError, match=rf"{library}: pip install 'tiercel\[{algorithm}\]'"
    ):
        CompressedCodec(SafeCodec(), algorithm)
    assert CompressedCodec(SafeCodec(), "zlib").name == "safe+zlib"


@pytest.mark.parametrize(
    "options", [{"algorithm": "brotli"}, {"threshold": -1}, {"max_size": 0}], ids=str
)
def test_options_when_wrong_then_configuration_error(options: dict[str, Any]) -> None:
    """Wrong options are refused when the codec is made."""
    with pytest.raises(ConfigurationError, match=r"choose one of|use positive"):
        CompressedCodec(SafeCodec(), **options)
