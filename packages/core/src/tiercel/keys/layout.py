"""Where the parts of a key stand, and how much room each has.

    prefix:namespace:function:v1:partition:suffix      an entry
    prefix:namespace:function:v1!2.9f31c07a            the scope of a function with two partitions
    prefix:namespace:function:v1:partition!2.9f31c07a  the scope of a partition
    prefix:namespace:function:v1!2.9f31c07a!fence      the fence of a function with an index

What stands between two colons never holds one. Parts that follow the version hold a `=` or are
digests, and versions neither, so the texts tell themselves apart also where the namespace is left
out. Whatever is longer than its room is replaced by its digest, which no value can be written like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from tiercel.errors import ConfigurationError
from tiercel.keys.constructor import KeyOptions, is_version
from tiercel.keys.escape import (
    DIGEST_LENGTH,
    choose_algorithm,
    digest,
    escape,
    escape_name,
    is_plain,
)

FENCE: Final = "!fence"
"""What follows the name of a function's scope in that of its fence, see `contracts.index`."""

MAX_KEY_LENGTH: Final = 230
MAX_PARTITION_FIELDS: Final = 8
_MAX_HEAD: Final = MAX_KEY_LENGTH - 2 * (1 + DIGEST_LENGTH)
_MAX_WORD: Final = 32


@dataclass(frozen=True, slots=True)
class Layout:
    """The fixed text of one function's keys, and the limits of the rest.

    Attributes:
        head: `prefix:namespace:function:version`.
        mark: Ends the names of scopes: the number of partition fields and a digest of their
            names, since entries depend on exactly these scopes.
        partition_limit: Characters that the partition may have.
        suffix_limit: Characters that the suffix may have.
    """

    head: str
    mark: str
    partition_limit: int
    suffix_limit: int

    def scope(self, partition: str = "") -> str:
        """The name of the function's scope or of a partition's."""
        return f"{self.head}:{partition}{self.mark}" if partition else f"{self.head}{self.mark}"

    def partition(self, texts: Sequence[str]) -> str:
        """The text of a leading part of the partition."""
        text = ":".join(texts)
        return text if len(text) <= self.partition_limit else digest(text)


def make_layout(
    prefix: str,
    function: str,
    version: str | int | None,
    options: KeyOptions,
    partitions: Sequence[str],
) -> Layout:
    """Lay out the keys of a function.

    Args:
        prefix: First part of every key of a cache.
        function: The function's name.
        version: Instead of the version in `options`; None: that one.
        options: `Meta` of the key constructor.
        partitions: A name for each partition field, in order.

    Raises:
        ConfigurationError: Prefix or version cannot be part of a key, or there are more than
            eight partition fields.
    """
    if len(partitions) > MAX_PARTITION_FIELDS:
        raise ConfigurationError(
            f"{function} has {len(partitions)} partition fields, but at most "
            f"{MAX_PARTITION_FIELDS} are possible: take partition=True from the others"
        )
    head = _head(
        prefix, function, options, _version(options.version if version is None else version)
    )
    scopes = blake2b("|".join(partitions).encode(), digest_size=4).hexdigest()
    room = MAX_KEY_LENGTH - len(head) - 1
    partition_limit = (room - 1) // 2 if partitions else 0
    suffix_limit = room - partition_limit - 1 if partitions else room
    limit = options.max_key_suffix_length or _limits.max_key_suffix_length
    if limit is not None and _hashes(options):
        suffix_limit = min(suffix_limit, limit)
    return Layout(head, f"!{len(partitions)}.{scopes}", partition_limit, suffix_limit)


def set_key_defaults(
    *,
    hash_algorithm: str | None = None,
    max_key_suffix_length: int | None = None,
    hash_suffix_on_overflow: bool = False,
) -> None:
    """Say how keys are built where no key constructor says it; for functions bound from now on.

    Every process that shares entries must say the same.

    Args:
        hash_algorithm: What digests are made with, as `hashlib.new` takes it; None: BLAKE2b.
        max_key_suffix_length: As in `KeyOptions`.
        hash_suffix_on_overflow: As in `KeyOptions`.

    Raises:
        ConfigurationError: There is no such algorithm, it is too weak, or the length is not
            positive.
    """
    global _limits
    limits = KeyOptions(
        max_key_suffix_length=max_key_suffix_length,
        hash_suffix_on_overflow=hash_suffix_on_overflow,
    )
    choose_algorithm(hash_algorithm)
    _limits = limits


_limits = KeyOptions()


def call_to_all(prefix: str, what: str) -> str:
    """Return the name whose drop calls all processes of a cache to do something.

    It is that of the fence of no function, so nothing is dropped by it.
    """
    return f"{prefix}!{what}{FENCE}"


def _hashes(options: KeyOptions) -> bool:
    chosen = options.hash_suffix_on_overflow
    return bool(_limits.hash_suffix_on_overflow if chosen is None else chosen)


def _head(prefix: str, function: str, options: KeyOptions, version: str) -> str:
    if not prefix or not is_plain(prefix) or len(prefix) > _MAX_WORD:
        raise ConfigurationError(
            f"the prefix of a cache must be 1 to {_MAX_WORD} letters, digits or _.@/+~-, "
            f"not {prefix!r}"
        )
    name = escape_name(options.key_identifier or function)
    names = f"{escape(options.namespace)}:{name}" if options.namespace else name
    if len(prefix) + len(names) + len(version) + 2 > _MAX_HEAD:
        names = digest(names)
    return f"{prefix}:{names}:{version}"


def _version(version: str | int) -> str:
    text = f"v{escape(str(version))}"
    if not is_version(version) or len(text) > _MAX_WORD:
        raise ConfigurationError(
            f"a version must be an integer or short text of at most {_MAX_WORD - 1} characters, "
            f"not {version!r}"
        )
    return text
