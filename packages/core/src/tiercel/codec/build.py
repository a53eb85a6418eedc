"""The codecs that core brings, and how options become a codec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiercel.codec.compress import CompressedCodec
from tiercel.codec.encrypt import EncryptedCodec
from tiercel.codec.pickle import PickleCodec
from tiercel.codec.safe import SafeCodec
from tiercel.codec.sign import SignedCodec
from tiercel.contracts.codec import Codec, CodecSpec
from tiercel.contracts.version import SPI_VERSION
from tiercel.errors import ConfigurationError

BUILTIN_CODECS: tuple[CodecSpec, ...] = (
    CodecSpec("safe", lambda options: SafeCodec(), SPI_VERSION),
    CodecSpec(
        "signed", lambda options: SignedCodec(SafeCodec(), options.get("keys", ())), SPI_VERSION
    ),
    CodecSpec("pickle", lambda options: PickleCodec(options.get("keys", ())), SPI_VERSION),
)
"""The specs of core's own codecs; their one option is `keys`, the signing keys."""


def build_codec(
    codec: str | Codec,
    *,
    signing_keys: Sequence[bytes | str] = (),
    compress: str | Mapping[str, Any] | None = None,
    encryption_keys: Sequence[bytes | str] = (),
) -> Codec:
    """Return the codec that a cache's options describe.

    Values are compressed first and then signed or encrypted, so that nothing is decompressed
    before it is known to be genuine.

    Args:
        codec: "safe", "signed", "pickle" or a codec of a plugin.
        signing_keys: Secrets for "signed" and "pickle"; the first signs, all verify.
        compress: An algorithm, or the options of `CompressedCodec` by name.
        encryption_keys: If any, payloads are encrypted; the first encrypts, all decrypt.

    Raises:
        ConfigurationError: A name or option is unknown, or a key is missing or too short.
    """
    built = _by_name(codec, signing_keys) if isinstance(codec, str) else codec
    if not isinstance(built, Codec):
        raise ConfigurationError(
            f"codec={codec!r} is no codec: pass a name or an instance of tiercel.spi.Codec"
        )
    if compress and isinstance(built, SignedCodec):
        built = built.around(_compressed(built.inner, compress))
    elif compress:
        built = _compressed(built, compress)
    return EncryptedCodec(built, encryption_keys) if encryption_keys else built


def _by_name(name: str, signing_keys: Sequence[bytes | str]) -> Codec:
    for spec in BUILTIN_CODECS:
        if spec.name == name:
            return spec.factory({"keys": signing_keys})
    known = ", ".join(spec.name for spec in BUILTIN_CODECS)
    raise ConfigurationError(f"no codec named {name!r}: choose one of {known}")


def _compressed(inner: Codec, options: str | Mapping[str, Any]) -> Codec:
    if isinstance(options, str):
        options = {"algorithm": options}
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"compress={options!r} must be a name, such as 'zlib', or a dict")
    unknown = options.keys() - {"algorithm", "threshold", "max_size"}
    if unknown:
        raise ConfigurationError(
            f"unknown compress option {min(unknown)!r}: choose of algorithm, threshold, max_size"
        )
    return CompressedCodec(inner, **options)
