"""Nothing is decoded, and above all nothing unpickled, that no holder of a key has written."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiercel.codec import PickleCodec, SafeCodec, SignedCodec
from tiercel.codec.keyring import Keyring
from tiercel.contracts.codec import Codec
from tiercel.errors import ConfigurationError, Undecodable

KEY, OTHER = b"k" * 32, b"o" * 32
ENTRY = b"app:users:get:v1:{7}:x" + b"header" * 8

executed: list[str] = []


def _execute() -> str:
    executed.append("ran")
    return "ran"


class Canary:
    """Tells whether it was unpickled."""

    def __reduce__(self) -> tuple[Callable[[], str], tuple[()]]:
        return _execute, ()


@pytest.fixture(autouse=True)
def _nothing_executed() -> None:
    executed.clear()


def test_canary_when_genuine_then_is_unpickled() -> None:
    """The canary works: a payload signed by a known key for this entry is unpickled."""
    codec = PickleCodec([KEY])
    assert codec.decode(codec.encode(Canary(), ENTRY), ENTRY) == "ran"
    assert executed == ["ran"]


@pytest.mark.parametrize(
    "forge",
    [
        lambda payload: pickle.dumps(Canary()),
        lambda payload: payload[40:],
        lambda payload: payload[:8] + bytes(32) + payload[40:],
        lambda payload: bytes(40) + payload[40:],
        lambda payload: payload[:-1],
        lambda payload: payload[:39],
        lambda payload: payload[:8],
        lambda payload: b"",
        lambda payload: payload + b"\0",
        lambda payload: PickleCodec([OTHER]).encode(Canary(), ENTRY),
        lambda payload: payload[:8] + PickleCodec([OTHER]).encode(Canary(), ENTRY)[8:],
        lambda payload: PickleCodec([KEY]).encode(Canary(), ENTRY + b"2"),
        lambda payload: PickleCodec([KEY]).encode(Canary(), ENTRY[:-1]),
        lambda payload: PickleCodec([KEY]).encode(Canary(), b""),
    ],
    ids=[
        "unsigned",
        "signature cut off",
        "zero signature",
        "zero key identity",
        "truncated",
        "truncated signature",
        "key identity only",
        "empty",
        "extended",
        "other key",
        "other key under our identity",
        "longer entry",
        "shorter entry",
        "no entry",
    ],
)
def test_canary_when_forged_then_is_never_unpickled(forge: Callable[[bytes], bytes]) -> None:
    """Unsigned, damaged and misplaced payloads are refused before the unpickler sees them."""
    codec = PickleCodec([KEY])
    payload = forge(codec.encode(Canary(), ENTRY))
    for form in (payload, memoryview(payload)):
        with pytest.raises(Undecodable):
            codec.decode(form, ENTRY)
    assert executed == []


def test_canary_when_any_bit_is_flipped_then_is_never_unpickled() -> None:
    """Every single bit counts: in identity, signature, payload, key and header."""
    codec = PickleCodec([KEY])
    payload = codec.encode(Canary(), ENTRY)
    for target in (payload, ENTRY):
        for position in range(len(target) * 8):
            flipped = bytearray(target)
            flipped[position // 8] ^= 1 << position % 8
            pair = (bytes(flipped), ENTRY) if target is payload else (payload, bytes(flipped))
            with pytest.raises(Undecodable):
                codec.decode(*pair)
    assert executed == []


def test_entry_and_payload_when_a_byte_moves_between_them_then_is_refused() -> None:
    """The end of the entry's key and the start of the payload cannot be traded."""
    codec = SignedCodec(_Echo(), [KEY])
    stored = codec.encode(b"xyz", b"ab")
    moved = stored[:40] + b"b" + stored[40:]
    with pytest.raises(Undecodable):
        codec.decode(moved, b"a")


class _Echo(Codec):
    name = "echo"

    def encode(self, value: Any, bound_to: bytes) -> bytes:
        return bytes(value)

    def decode(self, payload: bytes | memoryview, bound_to: bytes) -> Any:
        return bytes(payload)


def test_keys_when_rotated_then_old_payloads_are_read_until_the_key_is_dropped() -> None:
    """The first key signs, all verify, and a dropped one verifies no more."""
    old, both, new = PickleCodec([OTHER]), PickleCodec([KEY, OTHER]), PickleCodec([KEY])
    assert both.decode(old.encode({1}, ENTRY), ENTRY) == {1}
    assert new.decode(both.encode({1}, ENTRY), ENTRY) == {1}
    with pytest.raises(Undecodable, match="not signed by a known key"):
        new.decode(old.encode({1}, ENTRY), ENTRY)


def test_pickle_codec_when_without_key_then_error_says_how_to_set_one() -> None:
    """There is no unsigned pickle."""
    with pytest.raises(ConfigurationError, match=r"'pickle'.*TIERCEL_SIGNING_KEY.*signing_key="):
        PickleCodec()


@pytest.mark.parametrize("keys", [[b"short"], [KEY, b"x" * 15], ["ä" * 7], [b""]])
def test_codec_when_a_key_is_too_short_then_error_says_so(keys: list[bytes | str]) -> None:
    """Keys of less than 16 bytes are refused, wherever they stand."""
    with pytest.raises(ConfigurationError, match="use at least 16"):
        SignedCodec(SafeCodec(), keys)


def test_keyring_when_purposes_differ_then_keys_are_unrelated() -> None:
    """One secret gives each purpose its own key and identity; text and bytes are one secret."""
    signing = Keyring(["k" * 32], "signing", missing="")
    encryption = Keyring(KEY, "encryption", missing="")
    assert signing.current == Keyring([KEY], "signing", missing="").current
    assert signing.current != encryption.current
    assert set(signing.keys.values()).isdisjoint(encryption.keys.values())
    assert KEY not in signing.keys.values()


def test_value_when_it_cannot_be_pickled_then_type_error_names_it() -> None:
    """What pickle refuses is a TypeError that names the type."""
    with pytest.raises(TypeError, match="cannot store this function"):
        PickleCodec([KEY]).encode(lambda: 1, ENTRY)


class Moved:
    pass


def test_pickle_when_its_class_has_gone_then_undecodable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signed payload of an older version of the program is a miss."""
    codec = PickleCodec([KEY])
    payload = codec.encode(Moved(), ENTRY)
    monkeypatch.delitem(globals(), "Moved")
    with pytest.raises(Undecodable, match="cannot restore"):
        codec.decode(payload, ENTRY)


@given(st.binary(max_size=80))
@settings(max_examples=200, deadline=None)
def test_garbage_when_decoded_then_undecodable(payload: bytes) -> None:
    """No bytes but signed ones are ever accepted."""
    with pytest.raises(Undecodable):
        PickleCodec([KEY]).decode(payload, ENTRY)


def test_signed_safe_codec_when_annotated_then_keeps_its_keys() -> None:
    """`for_type` reaches the codec within, and the result verifies the same signatures."""
    codec = SignedCodec(SafeCodec(), [KEY])
    typed = codec.for_type(list[Canary])
    assert typed.decode(codec.encode([1, (2,)], ENTRY), ENTRY) == [1, (2,)]
    assert isinstance(typed.inner, SafeCodec)
    assert Canary in typed.inner.classes
    with pytest.raises(Undecodable):
        typed.decode(SafeCodec().encode([1], ENTRY), ENTRY)
