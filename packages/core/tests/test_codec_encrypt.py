"""Encrypted payloads are unreadable, unforgeable and bound to their entry."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiercel.codec import EncryptedCodec, PickleCodec, SafeCodec
from tiercel.errors import ConfigurationError, Undecodable

KEY, OTHER = b"k" * 32, b"o" * 32
ENTRY = b"app:users:get:v1:{7}:x" + b"header" * 8


def test_value_when_encrypted_then_comes_back_and_is_not_to_be_seen() -> None:
    """The text of a value does not stand in its payload; two payloads of one value differ."""
    codec = EncryptedCodec(SafeCodec(), [KEY])
    first, second = (codec.encode(["secret text", (1,)], ENTRY) for _ in range(2))
    assert b"secret" not in first
    assert first[8:20] != second[8:20]
    assert codec.decode(first, ENTRY) == codec.decode(memoryview(second), ENTRY)
    assert codec.decode(first, ENTRY) == ["secret text", (1,)]


def test_payload_when_any_bit_is_flipped_then_undecodable() -> None:
    """Every bit of identity, nonce, ciphertext, key and header is authenticated."""
    codec = EncryptedCodec(SafeCodec(), [KEY])
    payload = codec.encode(["secret"], ENTRY)
    for target in (payload, ENTRY):
        for position in range(len(target) * 8):
            flipped = bytearray(target)
            flipped[position // 8] ^= 1 << position % 8
            pair = (bytes(flipped), ENTRY) if target is payload else (payload, bytes(flipped))
            with pytest.raises(Undecodable):
                codec.decode(*pair)


def test_payload_when_cut_or_moved_then_undecodable() -> None:
    """Truncated payloads and those of another entry or under another header are refused."""
    codec = EncryptedCodec(SafeCodec(), [KEY])
    payload = codec.encode(["secret"], ENTRY)
    for end in range(len(payload)):
        with pytest.raises(Undecodable):
            codec.decode(payload[:end], ENTRY)
    for entry in (b"", ENTRY[:-1], ENTRY + b"2"):
        with pytest.raises(Undecodable):
            codec.decode(payload, entry)


@given(st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
def test_garbage_when_decoded_then_undecodable(payload: bytes) -> None:
    """No bytes but encrypted ones are ever accepted."""
    with pytest.raises(Undecodable):
        EncryptedCodec(SafeCodec(), [KEY]).decode(payload, ENTRY)


def test_keys_when_rotated_then_old_payloads_are_read_until_the_key_is_dropped() -> None:
    """The first key encrypts, all decrypt, and a dropped one decrypts no more."""
    old, both, new = (EncryptedCodec(SafeCodec(), keys) for keys in ([OTHER], [KEY, OTHER], [KEY]))
    assert both.decode(old.encode(1, ENTRY), ENTRY) == 1
    assert new.decode(both.encode(1, ENTRY), ENTRY) == 1
    with pytest.raises(Undecodable, match="not encrypted by a known key"):
        new.decode(old.encode(1, ENTRY), ENTRY)


def test_codec_when_annotated_then_reaches_the_codec_within() -> None:
    """`for_type` keeps keys and passes the annotation on."""
    codec = EncryptedCodec(PickleCodec([KEY]), [KEY])
    assert codec.for_type(int).decode(codec.encode({1: 2j}, ENTRY), ENTRY) == {1: 2j}


@pytest.mark.parametrize("keys", [[], [b"short"]])
def test_codec_when_keys_are_missing_or_short_then_configuration_error(keys: list[bytes]) -> None:
    """There is no encryption without a proper key."""
    with pytest.raises(ConfigurationError, match=r"encryption_keys=|at least 16"):
        EncryptedCodec(SafeCodec(), keys)


def test_codec_when_library_is_missing_then_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Core does not need cryptography; asking for encryption without it names the extra."""

    def refuse(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(ConfigurationError, match=r"pip install 'tiercel\[crypto\]'"):
        EncryptedCodec(SafeCodec(), [KEY])
