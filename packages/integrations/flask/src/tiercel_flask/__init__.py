"""Tiercel in Flask: cached views and functions, the request scope, commands, a template tag.

extension  `Tiercel`, what an application makes
config, former, state  what an application's config says, and what is made of it
caching, memoizing, calling, keys  the decorators that come from Flask-Caching
values  values set by hand
fields  key fields: user, tenant, language, time zone
web  requests and responses, as the core sees them
store  a backend for Flask-Caching itself
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tiercel_flask.extension import Tiercel
    from tiercel_flask.fields import (
        LanguageKeyField,
        TenantKeyField,
        TimezoneKeyField,
        UserKeyField,
    )
    from tiercel_flask.signals import (
        cache_memoize_hit,
        cache_memoize_miss,
        cache_view_hit,
        cache_view_miss,
    )
    from tiercel_flask.store import backend

__all__ = [
    "LanguageKeyField",
    "TenantKeyField",
    "Tiercel",
    "TimezoneKeyField",
    "UserKeyField",
    "backend",
    "cache_memoize_hit",
    "cache_memoize_miss",
    "cache_view_hit",
    "cache_view_miss",
]

_HOMES: Final = {
    "LanguageKeyField": "fields",
    "TenantKeyField": "fields",
    "Tiercel": "extension",
    "TimezoneKeyField": "fields",
    "UserKeyField": "fields",
    "backend": "store",
    "cache_memoize_hit": "signals",
    "cache_memoize_miss": "signals",
    "cache_view_hit": "signals",
    "cache_view_miss": "signals",
}


def __getattr__(name: str) -> Any:
    # The plugin lies in this package: found in processes that use no such framework, it must not
    # load one.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
