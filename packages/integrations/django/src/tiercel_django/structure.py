"""What models and serializers look like, as plain data, and the digest of that.

Nothing in it depends on the process: no addresses, no translations, no order of a set.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from hashlib import blake2b
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any
from uuid import UUID

from django.db.models import Field, Model, QuerySet
from django.db.models.manager import BaseManager
from django.utils.functional import Promise
from django.utils.translation import override

from tiercel.spi import ConfigurationError

FOR_PEOPLE = frozenset(
    {
        "blank",
        "db_comment",
        "db_index",
        "db_tablespace",
        "editable",
        "error_messages",
        "help_text",
        "html_cutoff",
        "html_cutoff_text",
        "initial",
        "label",
        "related_name",
        "related_query_name",
        "style",
        "validators",
        "verbose_name",
    }
)
"""Options of fields that change neither what is stored nor what a serializer makes of it."""

_COMMON = ("source", "required", "read_only", "write_only", "allow_null")


def fingerprint(structure: Any) -> str:
    """The 256-bit BLAKE2b digest (RFC 7693) of plain data, as 43 characters."""
    digest = blake2b(_json(structure).encode(), digest_size=32).digest()
    return urlsafe_b64encode(digest)[:43].decode("ascii")


def model_structure(model: type[Model]) -> Any:
    """The fields of a model, its parents' included, by name."""
    meta = model._meta
    with override(None):  # choices in no language at all
        fields = {field.name: _model_field(field) for field in (*meta.fields, *meta.many_to_many)}
        generic = {field.name: _name(type(field)) for field in meta.private_fields}
    return {"model": _name(model), "fields": fields, "generic": generic}


def serializer_structure(serializer: type[Any]) -> Any:
    """The fields of a serializer, by name, with those of nested ones.

    Raises:
        ConfigurationError: It cannot be made without arguments, or its fields cannot be built.
    """
    with override(None):
        try:
            return _Serializers().one(serializer())
        except Exception as error:
            raise ConfigurationError(
                f"the fields of {_name(serializer)} cannot be read: {type(error).__name__}: {error}"
            ) from error


def _model_field(field: Any) -> Any:
    _, path, arguments, options = field.deconstruct()
    return [path, _plain(arguments), _chosen(options)]


class _Serializers:
    """Describes serializers and their fields; a serializer inside of itself by its name."""

    def __init__(self) -> None:
        self._around: list[type] = []

    def one(self, serializer: Any) -> Any:
        kind = type(serializer)
        fields = getattr(serializer, "fields", None)
        if fields is None or kind in self._around:
            return {"serializer": _name(kind), "child": self._child(serializer)}
        self._around.append(kind)
        try:
            return {
                "serializer": _name(kind),
                "fields": {name: self.field(each) for name, each in fields.items()},
            }
        finally:
            self._around.pop()

    def field(self, field: Any) -> Any:
        options = {name: value for name, value in field._kwargs.items() if name != "child"}
        common = {name: getattr(field, name, None) for name in _COMMON}
        default = field.default if "default" in field._kwargs else None
        described = {
            "field": _name(type(field)),
            "arguments": _plain(field._args),
            "options": _chosen(options | common | {"default": default}),
            "child": self._child(field),
        }
        return described | (self.one(field) if hasattr(field, "fields") else {})

    def _child(self, field: Any) -> Any:
        child = getattr(field, "child", None) or getattr(field, "child_relation", None)
        return None if child is None else self.field(child)


def _chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in options.items() if name not in FOR_PEOPLE}


def _plain(value: Any) -> Any:
    """A value as plain data; what has no text that is the same everywhere, by its type."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    for kinds, describe in _DESCRIBED:
        if isinstance(value, kinds):
            return describe(value)
    if hasattr(value, "deconstruct"):
        path, arguments, options = value.deconstruct()
        return [path, _plain(arguments), _chosen(options)]
    return _name(type(value))


def _pairs(value: Mapping[Any, Any]) -> Any:
    return {"pairs": _sorted([key, item] for key, item in value.items())}


def _sorted(values: Iterable[Any]) -> list[Any]:
    return sorted(map(_plain, values), key=_json)


def _partial(value: partial[Any]) -> Any:
    return ["partial", _plain(value.func), _plain(value.args), _pairs(value.keywords)]


def _text(value: Any) -> Any:
    return [_name(type(value)), str(value)]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


_DESCRIBED: tuple[tuple[type | tuple[type, ...], Any], ...] = (
    (Promise, str),
    (Enum, lambda value: [_name(type(value)), value.name]),
    (str, str.__str__),
    ((list, tuple), lambda value: [_plain(each) for each in value]),
    ((set, frozenset), lambda value: {"set": _sorted(value)}),
    (Mapping, _pairs),
    ((Decimal, UUID, date, time, timedelta, bytes), _text),
    ((type, FunctionType, BuiltinFunctionType, MethodType), _name),
    (partial, _partial),
    (Field, _model_field),
    ((QuerySet, BaseManager), lambda value: _name(value.model)),
)
