"""Options become codecs, in the order that keeps unverified bytes from everything else."""

from __future__ import annotations

from typing import Any

import pytest

from tiercel.codec import (
    BUILTIN_CODECS,
    CompressedCodec,
    EncryptedCodec,
    PickleCodec,
    SafeCodec,
    SignedCodec,
    build_codec,
)
from tiercel.errors import ConfigurationError

KEY = b"k" * 32
VALUE = {"a": [1, (2,)] * 1000}


@pytest.mark.parametrize("name", ["safe", "signed", "pickle"])
@pytest.mark.parametrize("compress", [None, "zlib", {"algorithm": "lz4", "threshold": 10}])
@pytest.mark.parametrize("encryption_keys", [(), (KEY,)])
def test_codec_when_built_from_options_then_values_come_back(
    name: str, compress: Any, encryption_keys: tuple[bytes, ...]
) -> None:
    """Every combination of codec, compression and encryption works."""
    codec = build_codec(
        name, signing_keys=[KEY], compress=compress, encryption_keys=encryption_keys
    )
    for built in (codec, codec.for_type(dict[str, list[int]])):
        assert built.decode(codec.encode(VALUE, b"entry"), b"entry") == VALUE


def test_compression_when_signed_then_is_inside_of_the_signature() -> None:
    """Nothing is decompressed before its signature or its tag is verified."""
    codec = build_codec("pickle", signing_keys=[KEY], compress="zlib", encryption_keys=[KEY])
    assert isinstance(codec, EncryptedCodec)
    assert isinstance(codec.inner, PickleCodec)
    assert isinstance(codec.inner.inner, CompressedCodec)


def test_builtin_codecs_when_listed_then_factories_make_what_they_name() -> None:
    """Each spec makes a codec of its own name."""
    for spec in BUILTIN_CODECS:
        assert spec.factory({"keys": [KEY]}).name == spec.name
    assert [spec.name for spec in BUILTIN_CODECS] == ["safe", "signed", "pickle"]


def test_codec_when_given_as_an_instance_then_is_wrapped_as_asked() -> None:
    """A plugin's codec takes the same options."""
    own = SafeCodec()
    assert build_codec(own) is own
    compressed = build_codec(own, compress="zlib")
    assert isinstance(compressed, CompressedCodec)
    assert compressed.inner is own


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"codec": "pikle"}, r"no codec named 'pikle': choose one of safe, signed, pickle"),
        ({"codec": SafeCodec}, "is no codec"),
        ({"codec": "pickle"}, "TIERCEL_SIGNING_KEY"),
        ({"codec": "signed"}, "TIERCEL_SIGNING_KEY"),
        ({"codec": "safe", "compress": "gzip"}, "choose one of zstd, lz4, zlib"),
        ({"codec": "safe", "compress": {"level": 3}}, "unknown compress option 'level'"),
    ],
    ids=str,
)
def test_options_when_wrong_then_error_names_them(arguments: dict[str, Any], message: str) -> None:
    """Wrong options are refused when the cache is configured."""
    with pytest.raises(ConfigurationError, match=message):
        build_codec(**arguments)


def test_signed_codec_when_built_then_is_safe_inside() -> None:
    """Codec "signed" holds plain data only."""
    codec = build_codec("signed", signing_keys=[KEY])
    assert isinstance(codec, SignedCodec)
    assert isinstance(codec.inner, SafeCodec)
