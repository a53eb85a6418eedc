"""What Django adds to keys: which of its types may be part of them. Imports nothing of Django."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

from tiercel.spi import Encoder


@cache
def _encoder(name: str) -> Encoder:
    found: Encoder = getattr(import_module("tiercel_django.encoders"), name)
    return found


def _late(name: str) -> Callable[[Any], Any]:
    return lambda value: _encoder(name)(value)


ENCODERS: Final[Mapping[type | str, Encoder]] = {
    "django.db.models.base:Model": _late("model"),
    "django.db.models.query:QuerySet": _late("queryset"),
    "django.db.models.query:RawQuerySet": _late("raw_queryset"),
    "django.db.models.manager:BaseManager": _late("manager"),
    "django.contrib.auth.models:AnonymousUser": _late("nobody"),
    "django.utils.safestring:SafeString": _late("safe_string"),
    "django.utils.functional:Promise": _late("promise"),
    "django.utils.functional:LazyObject": _late("lazy_object"),
    "django.utils.datastructures:MultiValueDict": _late("multi_value_dict"),
    "django.http.request:HttpRequest": _late("request"),
    "rest_framework.request:Request": _late("request"),
    "psycopg.types.json:Jsonb": _late("json_value"),
    "psycopg.types.json:Json": _late("json_value"),
    "psycopg.types.range:Range": _late("value_range"),
}
"""Types by name, to what turns an instance into a value that keys know already."""
