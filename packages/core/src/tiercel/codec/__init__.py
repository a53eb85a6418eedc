"""Codecs: values to bytes of a shared tier, and back."""

from tiercel.codec.build import BUILTIN_CODECS, build_codec
from tiercel.codec.compress import CompressedCodec
from tiercel.codec.encrypt import EncryptedCodec
from tiercel.codec.pickle import PickleCodec
from tiercel.codec.safe import SafeCodec
from tiercel.codec.sign import SignedCodec

__all__ = [
    "BUILTIN_CODECS",
    "CompressedCodec",
    "EncryptedCodec",
    "PickleCodec",
    "SafeCodec",
    "SignedCodec",
    "build_codec",
]
