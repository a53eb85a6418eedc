"""Tiercel in Starlette, FastAPI and other ASGI frameworks.

middleware   TiercelMiddleware: request scope, the request itself, lifespan
lifespan     opens caches at start, finishes their work at stop
serving      the request that the middleware is serving
framework    requests in, responses kept and made anew
requests     a request in Tiercel's vocabulary
bodies       responses that are streamed, or files
fastapi      what only FastAPI knows: results rendered, parameters of a route
key_fields   user, tenant, language and time zone
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tiercel_asgi.key_fields import (
        LanguageKeyField,
        TenantKeyField,
        TimezoneKeyField,
        UserKeyField,
    )
    from tiercel_asgi.middleware import TiercelMiddleware

__all__ = [
    "LanguageKeyField",
    "TenantKeyField",
    "TiercelMiddleware",
    "TimezoneKeyField",
    "UserKeyField",
]

_HOMES: Final = {
    "LanguageKeyField": "key_fields",
    "TenantKeyField": "key_fields",
    "TiercelMiddleware": "middleware",
    "TimezoneKeyField": "key_fields",
    "UserKeyField": "key_fields",
}


def __getattr__(name: str) -> Any:
    # The plugin lies in this package: found in processes that use no such framework, it must not
    # load one.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
