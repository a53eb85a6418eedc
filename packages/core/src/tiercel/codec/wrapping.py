"""What codecs have in common that treat the bytes of another codec."""

from __future__ import annotations

import copy
from typing import Any, Self

from tiercel.contracts.codec import Codec


class WrappingCodec(Codec):
    """A codec around another one.

    Attributes:
        inner: The codec that knows the values.
    """

    inner: Codec

    def around(self, inner: Codec) -> Self:
        """Return a codec like this one, with the same keys and options, around another one."""
        clone = copy.copy(self)
        clone.inner = inner
        return clone

    def for_type(self, annotation: Any) -> Self:
        return self.around(self.inner.for_type(annotation))
