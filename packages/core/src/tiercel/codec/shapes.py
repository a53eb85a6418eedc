"""How instances of a project's own classes are taken apart and put together again.

Only classes that a return annotation names get a shape. Bytes name a class by a fingerprint that
is looked up among these, so they can neither import a module nor reach any other class.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum, Flag
from hashlib import blake2b
from types import MemberDescriptorType
from typing import Any, ClassVar

from msgspec import Struct

from tiercel.codec.annotations import describe, field_hints, is_pydantic
from tiercel.codec.origin import module_of

_FINGERPRINT_BYTES = 8


class Shape(ABC):
    """Takes instances of one class apart into plain parts, and puts them together.

    Attributes:
        cls: The class; instances of its subclasses have shapes of their own.
        names: Its fields.
        fingerprint: Stands for the class in stored bytes. It covers the class's name and its
            fields with their types: after any change of these, old entries are misses.
    """

    __slots__ = ("cls", "fingerprint", "names")

    def __init__(self, cls: type, names: Sequence[str]) -> None:
        self.cls = cls
        self.names = tuple(names)
        hints = field_hints(cls)
        text = "\n".join(
            [
                f"{type(self).__name__} {module_of(cls)}:{cls.__qualname__}",
                *(f"{name}: {describe(hints.get(name))}" for name in self.names),
            ]
        )
        self.fingerprint = blake2b(text.encode(), digest_size=_FINGERPRINT_BYTES).digest()

    @abstractmethod
    def take(self, value: Any) -> Sequence[Any]:
        """Return the parts of an instance."""

    @abstractmethod
    def make(self, parts: list[Any]) -> Any:
        """Return the instance that has these parts; raises anything if they do not fit."""


class AttributesShape(Shape):
    """Dataclasses and attrs classes: restored as pickle does it, without running `__init__`."""

    __slots__ = ("slots",)
    _left_out: ClassVar = frozenset({"__orig_class__"})

    def __init__(self, cls: type, names: Sequence[str]) -> None:
        super().__init__(cls, names)
        self.slots = frozenset(
            name
            for base in cls.__mro__
            for name, member in vars(base).items()
            if isinstance(member, MemberDescriptorType)
        )

    def take(self, value: Any) -> Sequence[Any]:
        state: Any = object.__getstate__(value)
        if isinstance(state, tuple):
            state = {**(state[0] or {}), **state[1]}
        attributes: dict[str, Any] = state or {}
        if tuple(attributes) == self.names:
            return list(attributes.values())
        rest = {k: v for k, v in attributes.items() if k not in self._left_out}
        if "_attrs_cached_hash" in rest:
            rest["_attrs_cached_hash"] = None  # hashes of text differ between processes
        try:
            parts = [rest.pop(name) for name in self.names]
        except KeyError as error:
            raise TypeError(
                f"codec 'safe' cannot store this {self.cls.__qualname__}: "
                f"its field {error} is not set"
            ) from error
        return [*parts, rest] if rest else parts

    def make(self, parts: list[Any]) -> Any:
        instance: Any = object.__new__(self.cls)
        attributes = dict(zip(self.names, parts, strict=False))
        if len(parts) != len(self.names):
            (rest,) = parts[len(self.names) :]
            attributes.update(rest)
        for name in self.slots and self.slots & attributes.keys():
            object.__setattr__(instance, name, attributes.pop(name))
        if attributes:
            instance.__dict__.update(attributes)
        return instance


class PydanticShape(Shape):
    """Pydantic models: fields, extra and private attributes, and which fields were set."""

    __slots__ = ()
    _state = (
        "__dict__",
        "__pydantic_extra__",
        "__pydantic_fields_set__",
        "__pydantic_private__",
    )

    def take(self, value: Any) -> Sequence[Any]:
        state = sys.modules["pydantic"].BaseModel.__getstate__(value)
        return [state[name] for name in self._state]

    def make(self, parts: list[Any]) -> Any:
        attributes, extra, fields_set, private = parts
        if not attributes.keys() >= set(self.names) or type(fields_set) is not set:
            raise ValueError("not the state of a model")
        for names in (extra, private):
            if names is not None and type(names) is not dict:
                raise ValueError("not the state of a model")
        model: Any = self.cls
        instance = model.__new__(model)
        sys.modules["pydantic"].BaseModel.__setstate__(
            instance, dict(zip(self._state, parts, strict=True))
        )
        return instance


class StructShape(Shape):
    """Structs of msgspec: made by their constructor, as they are in unpickling."""

    __slots__ = ()

    def take(self, value: Any) -> Sequence[Any]:
        return [getattr(value, name) for name in self.names]

    def make(self, parts: list[Any]) -> Any:
        return self.cls(**dict(zip(self.names, parts, strict=True)))


class NamedTupleShape(Shape):
    """Named tuples, of `typing` or `collections`."""

    __slots__ = ()

    def take(self, value: Any) -> Sequence[Any]:
        if getattr(value, "__dict__", None):
            raise TypeError(
                f"codec 'safe' cannot store this {self.cls.__qualname__}: a named tuple with "
                "attributes besides its fields; make them fields"
            )
        return list(value)

    def make(self, parts: list[Any]) -> Any:
        if len(parts) != len(self.names):
            raise ValueError("not the fields of this named tuple")
        make: Any = tuple.__new__
        return make(self.cls, parts)


class EnumShape(Shape):
    """Enums, by the name of the member; combinations of flags by their value."""

    __slots__ = ("_members",)

    def __init__(self, cls: type[Enum]) -> None:
        super().__init__(cls, ())
        self._members = cls.__members__

    def take(self, value: Any) -> Sequence[Any]:
        if value._name_ in self._members:
            return [value._name_]
        if isinstance(value, Flag):
            return [value._value_]
        raise TypeError(
            f"codec 'safe' cannot store {value!r}: it is no member of {self.cls.__qualname__}"
        )

    def make(self, parts: list[Any]) -> Any:
        (part,) = parts
        if type(part) is str:
            return self._members[part]
        if issubclass(self.cls, Flag):
            return self.cls(part)
        raise ValueError("not the name of a member")


class TextShape(Shape):
    """Addresses of `ipaddress` and URLs of pydantic: what they are written as says it all."""

    __slots__ = ()

    def take(self, value: Any) -> Sequence[Any]:
        return [str(value)]

    def make(self, parts: list[Any]) -> Any:
        (text,) = parts
        return self.cls(text)


def shape_of(cls: type) -> Shape | None:
    """Return the shape of a class, or None where a class has none that is exact."""
    if issubclass(cls, Enum):
        return EnumShape(cls)
    if is_pydantic(cls):
        return PydanticShape(cls, tuple(field_hints(cls)))
    if issubclass(cls, Struct):
        return StructShape(cls, cls.__struct_fields__)
    if issubclass(cls, tuple):
        names = getattr(cls, "_fields", None)
        return NamedTupleShape(cls, names) if names is not None else None
    if hasattr(cls, "__attrs_attrs__"):
        return _attributes_shape(cls, [field.name for field in cls.__attrs_attrs__])
    if is_dataclass(cls):
        return _attributes_shape(cls, [field.name for field in fields(cls)])
    return TextShape(cls, ()) if _is_text(cls) else None


def _is_text(cls: type) -> bool:
    if cls.__module__ == "pydantic.networks":
        return hasattr(cls, "unicode_string")
    return cls.__module__ == "ipaddress" and not cls.__name__.startswith("_")


def _attributes_shape(cls: type, names: Sequence[str]) -> Shape | None:
    try:
        object.__new__(cls)
    except TypeError:  # it extends a builtin, whose own content the fields do not show
        return None
    return AttributesShape(cls, names)
