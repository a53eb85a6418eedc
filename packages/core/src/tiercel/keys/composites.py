"""The text of values that hold other values: containers, enumerations and records."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Mapping
from enum import Enum, Flag
from types import MappingProxyType
from typing import Any, Final, cast

from msgspec import Struct

from tiercel.keys.escape import escape
from tiercel.keys.names import Refused, class_text
from tiercel.keys.scalars import int_text

Encode = Callable[[Any], str]
Composite = Callable[[Any, Encode], str]
"""Turns a value into text, given the function that does so for the values inside."""


def _tuple(value: tuple[Any, ...], encode: Encode) -> str:
    return f"({','.join(map(encode, value))})"


def _list(value: list[Any], encode: Encode) -> str:
    return f"[{','.join(map(encode, value))}]"


def _sorted_tuple(value: tuple[Any, ...], encode: Encode) -> str:
    return f"({','.join(sorted(map(encode, value)))})"


def _sorted_list(value: list[Any], encode: Encode) -> str:
    return f"[{','.join(sorted(map(encode, value)))}]"


def _items(value: Mapping[Any, Any], encode: Encode) -> Iterable[str]:
    return (f"{encode(key)}={encode(item)}" for key, item in value.items())


def _dict(value: dict[Any, Any], encode: Encode) -> str:
    # Sorting the texts orders keys of any mixture of types.
    return f"dict({','.join(sorted(_items(value, encode)))})"


def _ordered_dict(value: OrderedDict[Any, Any], encode: Encode) -> str:
    return f"OrderedDict({','.join(_items(value, encode))})"


def _mapping_proxy(value: MappingProxyType[Any, Any], encode: Encode) -> str:
    try:
        inner = value.copy()
    except AttributeError:
        raise Refused(type(value), "what it shows is not a dict", "pass a dict") from None
    return f"mappingproxy({encode(inner)})"


def _set(value: set[Any] | frozenset[Any], encode: Encode) -> str:
    return f"{type(value).__name__}({','.join(sorted(map(encode, value)))})"


CONTAINERS: Final[dict[type, Composite]] = {
    tuple: _tuple,
    list: _list,
    dict: _dict,
    OrderedDict: _ordered_dict,
    MappingProxyType: _mapping_proxy,
    set: _set,
    frozenset: _set,
}
SORTED_LISTS: Final[dict[type, Composite]] = {tuple: _sorted_tuple, list: _sorted_list}


def declared(kind: type, name: str) -> Any:
    """An attribute of a class without asking its metaclass, descriptors or `__getattr__`."""
    return next((vars(each)[name] for each in kind.__mro__ if name in vars(each)), None)


def _refuse_more(kind: type, value: Any, names: Container[str] = ()) -> None:
    """Refuse an instance with attributes besides its fields, as a subclass may give it."""
    more = [name for name in getattr(value, "__dict__", ()) if name not in names]
    if more:
        raise Refused(
            kind,
            f"it has attributes that are no fields: {', '.join(more)}",
            "make them fields or give its class a __cache_key__() method",
        )


def _record(kind: type, names: Iterable[str], known: Container[str] | None = None) -> Composite:
    """A composite that writes the named attributes of an instance of `kind`.

    Args:
        kind: Its class.
        names: The attributes.
        known: The only attributes that it may have; None: any, since its class is a record itself
            and says which of them count.
    """
    title, fields = class_text(kind), [(escape(name), name) for name in names]

    def encode_record(value: Any, encode: Encode) -> str:
        if known is not None:
            _refuse_more(kind, value, known)
        try:
            inner = [f"{text}={encode(getattr(value, name))}" for text, name in fields]
        except AttributeError as error:
            raise Refused(kind, f"it is incomplete ({error})", "set all its fields") from error
        return f"{title}({','.join(inner)})"

    return encode_record


def _known(kind: type, mark: str, fields: Iterable[Any]) -> Container[str] | None:
    """The names of all fields if a class only inherits being a record, else None."""
    return None if mark in vars(kind) else {each.name for each in fields}


def _enum(kind: type) -> Composite:
    title = class_text(kind)
    if issubclass(kind, Flag):
        return lambda value, _: f"{title}({int_text(int(value._value_))})"
    return lambda value, _: f"{title}({escape(value._name_)})"


def _named_tuple(kind: type) -> Composite:
    title, fields = class_text(kind), [escape(name) for name in declared(kind, "_fields")]

    def encode_named_tuple(value: tuple[Any, ...], encode: Encode) -> str:
        _refuse_more(kind, value)
        items = zip(fields, tuple.__iter__(value), strict=True)
        return f"{title}({','.join(f'{name}={encode(item)}' for name, item in items)})"

    return encode_named_tuple


def _pydantic(kind: type) -> Composite:
    title, names = class_text(kind), list(declared(kind, "__pydantic_fields__"))

    def encode_model(value: Any, encode: Encode) -> str:
        state = vars(value)
        fields = encode({name: state[name] for name in names if name in state})
        extra, private = value.__pydantic_extra__, value.__pydantic_private__
        if extra is None and private is None:
            return f"{title}({fields})"
        return f"{title}({fields},{encode(extra)},{encode(private)})"

    return encode_model


def composite_for(kind: type) -> Composite | None:
    """Find how to write instances of a class that is not known by itself, or None.

    Fields that do not take part in a record's equality are left out. Classes that derive from a
    plain value or container are not their fields alone, so they are none of these.
    """
    if issubclass(kind, Enum):
        return _enum(kind)
    if issubclass(kind, tuple) and isinstance(declared(kind, "_fields"), tuple):
        return _named_tuple(kind)
    if declared(kind, "__dataclass_fields__") is not None:
        dataclass_fields = dataclasses.fields(cast(Any, kind))
        counting = [each.name for each in dataclass_fields if each.compare]
        return _record(kind, counting, _known(kind, "__dataclass_fields__", dataclass_fields))
    if isinstance(declared(kind, "__pydantic_fields__"), dict):
        return _pydantic(kind)
    if (attributes := declared(kind, "__attrs_attrs__")) is not None:
        counting = [each.name for each in attributes if each.eq]
        return _record(kind, counting, _known(kind, "__attrs_attrs__", attributes))
    if issubclass(kind, Struct):
        return _record(kind, kind.__struct_fields__, kind.__struct_fields__)
    return None
