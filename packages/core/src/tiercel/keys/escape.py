"""The alphabet of keys: which characters stand for themselves, and digests of what is too long.

Characters of values are letters, digits and `_.@/+~-`; all others are written as `%` and two
hexadecimal digits for each byte of their UTF-8 form. What is left of printable ASCII belongs to
the structure of a key, so no value can pretend to be structure.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from typing import Final

from tiercel.errors import ConfigurationError

_is_plain = re.compile(r"[A-Za-z0-9_.@/+~-]*").fullmatch
_BYTES: Final = tuple(
    chr(byte) if byte < 128 and _is_plain(chr(byte)) else f"%{byte:02X}" for byte in range(256)
)

DIGEST_LENGTH: Final = 44
"""Characters of a digest: `#`, which begins nothing else, and 256 bits in base64."""


def escape(text: str) -> str:
    """Write any text in the alphabet of values, reversibly."""
    if _is_plain(text):
        return text
    # Lone surrogates are legal in str, and file names have them; strict UTF-8 would refuse.
    return escape_bytes(text.encode("utf-8", "surrogatepass"))


def escape_bytes(data: bytes) -> str:
    """Write any bytes in the alphabet of values, reversibly."""
    return "".join(map(_BYTES.__getitem__, data))


def escape_name(name: str) -> str:
    """Write a name like `escape`, with `:` as `/`, as in `package.module/Class.method`."""
    return "/".join(escape(each).replace("/", "%2F") for each in name.split(":"))


def is_plain(text: str) -> bool:
    """Whether `escape` would leave the text as it is."""
    return _is_plain(text) is not None


def quote(text: str) -> str:
    """The text of an exact `str`."""
    if text.isalnum() and text.isascii():
        return "'" + text
    return "'" + escape(text)


def digest(text: str) -> str:
    """The 256-bit digest of an ASCII text, BLAKE2b (RFC 7693) unless another algorithm was chosen.

    No value is written like it.
    """
    data = text.encode("ascii")
    if _algorithm is None:
        raw = hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
    else:
        raw = hashlib.new(_algorithm, data).digest()[:_DIGEST_BYTES]
    return "#" + urlsafe_b64encode(raw)[:43].decode("ascii")


_DIGEST_BYTES: Final = 32
_algorithm: str | None = None


def choose_algorithm(name: str | None) -> None:
    """Choose what digests are made with from now on; every process must choose the same.

    Args:
        name: As `hashlib.new` takes it; None: BLAKE2b.

    Raises:
        ConfigurationError: There is no such algorithm, or its digests are shorter than 256 bits.
    """
    global _algorithm
    if name is not None:
        try:
            size = hashlib.new(name).digest_size
        except (ValueError, TypeError) as error:
            known = ", ".join(sorted(hashlib.algorithms_guaranteed))
            raise ConfigurationError(
                f"there is no hash algorithm {name!r}; there are: {known}"
            ) from error
        if size < _DIGEST_BYTES:
            raise ConfigurationError(
                f"digests of {name} have {size * 8} bits, keys need 256: choose sha256, for example"
            )
    _algorithm = name
