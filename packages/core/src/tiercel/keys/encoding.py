"""Values to text: canonical, injective, and the same in every process.

A text tells its type and where it ends, so texts can be put side by side. It holds printable
ASCII only and none of the characters `:`, `#` and `!`, which belong to the structure of keys:

    42  -7  1.5  nan  True  None  'bob  b'raw%00  (1,'x)  ['a,'b]  dict('a=1,'b=2)  set(1,2)
    Decimal(1.00)  date(2024-02-29)  shop.models/Point(x=1,y=2)  shop.models/Color(RED)

Neither `repr` nor `hash` of a value is ever asked, since both may depend on the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final

from tiercel.contracts.integration import Encoder
from tiercel.contracts.key_field import StandsFor
from tiercel.errors import ConfigurationError, UnkeyableValue
from tiercel.keys.composites import CONTAINERS, SORTED_LISTS, Composite, composite_for, declared
from tiercel.keys.names import Refused, class_text, describe, is_importable, name_of
from tiercel.keys.scalars import (
    SCALARS,
    class_value_text,
    function_value_text,
    is_numpy_scalar,
    numpy_text,
    path_text,
    written_text,
)


class Encoders:
    """Turns values into text, with the types that integrations have added.

    Args:
        encoders: As in `KeyFieldSpec.encoders`.
        sort_lists: The order of the items of lists and tuples does not count.
    """

    def __init__(
        self, encoders: Mapping[type | str, Encoder] | None = None, *, sort_lists: bool = False
    ) -> None:
        self._added: dict[type | str, Encoder] = {}
        self._known = _KNOWN | SORTED_LISTS if sort_lists else _KNOWN
        self._composites = dict(self._known)
        self._sorting: Encoders | None = None
        for kind, encoder in (encoders or {}).items():
            self.add(kind, encoder)

    def add(self, kind: type | str, encoder: Encoder) -> None:
        """Let instances of a type, and of its subclasses, be part of keys.

        Args:
            kind: The type, or its name as `module:qualname`.
            encoder: Called with the instance; returns a value that is known already.

        Raises:
            ConfigurationError: The type is known without it, or has an encoder already.
        """
        name = kind if isinstance(kind, str) else describe(kind)
        if kind in self._known or kind in (object, type) or kind in self._added:
            raise ConfigurationError(
                f"keys know {name} already, so it can have no other encoder; "
                "add one for a class of yours"
            )
        if not callable(encoder):
            raise ConfigurationError(f"the encoder of {name} must be callable, not {encoder!r}")
        self._added[kind] = encoder
        self._composites = dict(self._known)
        if self._sorting is not None:
            self._sorting.add(kind, encoder)

    def asks(self, kind: type) -> bool:
        """Tell whether instances of a type stand in keys by one value, which they are asked for."""
        added = (each in self._added or name_of(each) in self._added for each in kind.__mro__)
        return declared(kind, "__cache_key__") is not None or any(added)

    @property
    def sorting_lists(self) -> Encoders:
        """The same encoders, but the order of the items of lists and tuples does not count."""
        if self._sorting is None:
            self._sorting = Encoders(self._added, sort_lists=True)
        return self._sorting

    def text(self, value: Any, what: str = "the value", fix: str = "") -> str:
        """The text of a value.

        Args:
            value: Any value of a known type.
            what: Names the value in messages.
            fix: What else the caller of the cached function could do, for messages.

        Raises:
            UnkeyableValue: The value, or one inside, has no text that identifies it.
        """
        try:
            return self._encode(value)
        except Refused as refused:
            raise _unkeyable(value, what, refused, fix) from refused.__cause__
        except RecursionError:
            raise UnkeyableValue(
                f"{what} cannot be part of a key: this {describe(type(value))} contains itself or "
                "is nested too deeply; pass plain data without cycles"
            ) from None

    def _encode(self, value: Any) -> str:
        # type(value), since value.__class__ may be whatever a proxy stands for.
        composite = self._composites.get(type(value))
        if composite is None:
            composite = self._find(type(value))
        return composite(value, self._encode)

    def _find(self, kind: type) -> Composite:
        composite = self._search(kind)
        if is_importable(kind):
            self._composites[kind] = composite
        return composite

    def _search(self, kind: type) -> Composite:
        if issubclass(kind, KeyText):
            return _text_said
        if (method := declared(kind, "__cache_key__")) is not None:
            return _by_encoder(kind, _bound(method))
        for base in kind.__mro__:
            encoder = self._added.get(base) or self._added.get(
                f"{base.__module__}:{base.__qualname__}"
            )
            if encoder is not None:
                return _by_encoder(kind, encoder)
        composite = _plain_kind(kind) or (composite_for(kind) if _is_whole(kind) else None)
        if composite is None:
            raise _refusal(kind)
        return composite


def _scalar(text: Any) -> Composite:
    return lambda value, _: text(value)


class KeyText:
    """Stands for an object of which nothing is there but its text in keys, and perhaps attributes.

    Attributes:
        text: The text; None: it is not known either.
    """

    def __init__(self, text: str | None) -> None:
        self.text = text

    def __cache_key__(self) -> Any:
        return self  # no value by which memory knows objects of the kind that this stands for


def _text_said(value: KeyText, _: Any) -> str:
    if value.text is None:
        raise Refused(KeyText, "its object is not there", "say which one it is")
    return value.text


_KNOWN: Final[dict[type, Composite]] = {
    **{kind: _scalar(text) for kind, text in SCALARS.items()},
    **CONTAINERS,
    FunctionType: _scalar(function_value_text),
    BuiltinFunctionType: _scalar(function_value_text),
}


def _plain_kind(kind: type) -> Composite | None:
    """Types that are recognised by what they derive from, and hold no other values."""
    if issubclass(kind, type):
        return _scalar(class_value_text)
    if issubclass(kind, PurePath) and kind.__module__.partition(".")[0] == "pathlib":
        return _scalar(path_text)
    if is_numpy_scalar(kind):
        return _scalar(numpy_text)
    if kind.__module__ in _WRITTEN and kind.__str__ is not object.__str__:
        return _scalar(written_text)
    return None


_WRITTEN: Final = frozenset({"ipaddress", "pydantic.networks"})
"""Modules whose classes can be made again from the text that they are written as."""


def _is_whole(kind: type) -> bool:
    """Whether fields tell all of an instance: it is not a number, a list and so on besides."""
    named_tuple = issubclass(kind, tuple) and isinstance(declared(kind, "_fields"), tuple)
    return issubclass(kind, Enum) or named_tuple or _base(kind) is None


def _base(kind: type) -> type | None:
    return next((each for each in kind.__mro__ if each in _KNOWN or each is PurePath), None)


def _bound(method: Any) -> Encoder:
    """What to call with an instance for its `__cache_key__`."""
    if isinstance(method, (classmethod, staticmethod)) or not callable(method):
        return lambda value: value.__cache_key__()
    return method  # type: ignore[no-any-return]


_UNSAID: Final = ("it has no text that identifies it", "pass something else")


def _by_encoder(kind: type, encoder: Encoder) -> Composite:
    title = class_text(kind) if is_importable(kind) else None  # another class may take its name

    def encode_by_encoder(value: Any, encode: Any) -> str:
        try:
            inner = encoder(value)
        except (Refused, RecursionError):
            raise
        except UnkeyableValue as refusal:
            reason, fix = (*refusal.args, *_UNSAID)[:2]
            raise Refused(kind, reason, fix) from refusal
        except Exception as error:
            reason = f"asking it for its key raised {type(error).__name__}: {error}"
            raise Refused(kind, reason, "correct __cache_key__ or its encoder") from error
        if type(inner) is StandsFor:
            return encode(inner.value)  # type: ignore[no-any-return]
        return f"{title or class_text(kind)}({encode(inner)})"

    return encode_by_encoder


def _refusal(kind: type) -> Refused:
    base = _base(kind)
    if base is not None:
        return Refused(
            kind,
            f"it is a subclass of {describe(base)}, which may hold more than a {describe(base)}",
            f"convert it to {describe(base)} or give it a __cache_key__() method",
        )
    return Refused(
        kind,
        "nothing but its address in memory identifies it",
        "give its class a __cache_key__() method or register an encoder",
    )


def _unkeyable(value: Any, what: str, refused: Refused, fix: str) -> UnkeyableValue:
    inside = "" if refused.kind is type(value) else f"inside this {describe(type(value))}, "
    return UnkeyableValue(
        f"{what} cannot be part of a key: {inside}{describe(refused.kind)}: {refused.reason}; "
        f"{refused.fix}{fix}"
    )


ENCODERS: Final = Encoders()
"""The encoders that plans use unless they are given others; plugins add theirs to it."""
