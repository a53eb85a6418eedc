"""Which arguments of an endpoint are values, so that they tell entries apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from tiercel.spi import WebRequest
from tiercel_asgi.fastapi.reading import read_by

_SCALARS: Final = frozenset(
    {
        *(bool, bytes, complex, date, datetime, Decimal, float, int, str, time, timedelta),
        *(type(None), UUID),
    }
)
_COLLECTIONS: Final = (list, tuple, set, frozenset)


def telling(dependant: Any, arguments: Mapping[str, Any], request: WebRequest) -> dict[str, Any]:
    """Return what tells calls of an endpoint apart.

    Arguments count that are values, not things such as a session of a database. Of all others,
    what they were made of counts: declared parameters of the query as texts; what was made of a
    body counts itself, and may well be refused as part of a key.

    Args:
        dependant: What FastAPI says of the endpoint.
        arguments: What the endpoint is called with.
        request: The request.
    """
    found = {name: value for name, value in arguments.items() if _is_plain(value)}
    for each in read_by(dependant):
        if each.name in found:
            continue
        query = request.query
        for name in query if each.names is None else each.names & query.keys():
            texts = query[name]
            found[f"?{name}"] = texts if texts[1:] else texts[0]
        if each.reads_body and each.name is not None:
            found[each.name] = arguments[each.name]
    return found


def _is_plain(value: Any) -> bool:
    if type(value) in _SCALARS or isinstance(value, Enum):
        return True
    if isinstance(value, _COLLECTIONS):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(each) for pair in value.items() for each in pair)
    if hasattr(type(value), "__pydantic_fields__"):
        private = getattr(value, "__pydantic_private__", None) or {}
        return all(map(_is_plain, (*vars(value).values(), *private.values())))
    if is_dataclass(value):
        return all(_is_plain(getattr(value, field.name)) for field in fields(value))
    return False
