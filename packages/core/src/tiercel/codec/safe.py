"""The default codec: tagged msgpack, which gives back exact types and runs nothing it reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tiercel.codec.annotations import classes_in
from tiercel.codec.plain import is_plain
from tiercel.codec.shapes import Shape, shape_of
from tiercel.codec.tagging import Tagger, encode_plain, qualified_name, reader, too_deep
from tiercel.contracts.codec import Codec
from tiercel.errors import ConfigurationError, Undecodable


class SafeCodec(Codec):
    """Stores plain data and the classes it was told of, and gives back the exact types.

    What msgpack carries exactly is written as just that, and read by `msgspec` at full speed.
    Other builtin types (tuple, set, datetime, Decimal ...) become extension values. Instances of
    a project's own classes need a codec that knows these: `for_type` of the return annotation.
    Reading never imports a module and never reaches a class that was not named so.

    Args:
        classes: Dataclasses, attrs classes, pydantic models, named tuples, enums and structs
            whose instances may be stored. Others among them are passed over.

    Raises:
        ConfigurationError: Two of the classes have one name and the same fields.
    """

    name = "safe"
    binds = False

    def __init__(self, classes: Iterable[type] = ()) -> None:
        self.classes = tuple(dict.fromkeys(classes))
        shapes: dict[bytes, Shape] = {}
        for shape in filter(None, map(shape_of, self.classes)):
            if shape.fingerprint in shapes:
                raise ConfigurationError(
                    f"codec 'safe': two classes are named {qualified_name(shape.cls)}; rename one"
                )
            shapes[shape.fingerprint] = shape
        by_class = {shape.cls: shape for shape in shapes.values()}
        self._tagger = Tagger(by_class, thorough=False)
        self._thorough_tagger = Tagger(by_class, thorough=True)
        self._decode = reader(shapes)

    def for_type(self, annotation: Any) -> SafeCodec:
        """Return a codec that also stores values annotated so.

        Args:
            annotation: A resolved annotation. Classes may stand in it at any depth: in unions
                and containers and in the fields of other classes. Subclasses of a class that it
                names are not covered; name them in a union.
        """
        return SafeCodec((*self.classes, *classes_in(annotation)))

    def encode(self, value: Any, bound_to: bytes) -> bytes:
        try:
            payload = encode_plain(value)
            if is_plain(value):
                return payload
        except RecursionError:
            raise too_deep() from None
        except (TypeError, ValueError, OverflowError, AttributeError):
            pass  # plain msgpack cannot take it; below it is either tagged or refused
        try:
            return encode_plain(self._tagger.tag(value))
        except (OverflowError, UnicodeEncodeError):
            return encode_plain(self._thorough_tagger.tag(value))

    def decode(self, payload: bytes | memoryview, bound_to: bytes) -> Any:
        try:
            return self._decode(payload)
        except Exception as error:  # forged bytes may bring any part of a loader to fail
            raise Undecodable(
                f"codec 'safe' cannot read this payload: {type(error).__name__}"
            ) from error
