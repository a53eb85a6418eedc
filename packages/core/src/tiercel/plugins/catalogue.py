"""What is known without looking: first-party plugins by name, and what core provides itself."""

from __future__ import annotations

from collections.abc import Mapping

KNOWN: Mapping[str, Mapping[str, str]] = {
    "backends": {
        "django": "tiercel-django",
        "memcached": "tiercel-memcached",
        "redis": "tiercel-redis",
        "redis+cluster": "tiercel-redis",
        "redis+sentinel": "tiercel-redis",
        "redis+unix": "tiercel-redis",
        "rediss": "tiercel-redis",
        "sqlite": "tiercel-sqlite",
        "valkey": "tiercel-redis",
        "valkeys": "tiercel-redis",
    },
    "dispatchers": {
        "celery": "tiercel-celery",
        "django_q": "tiercel-django-q",
        "django_rq": "tiercel-rq",
        "dramatiq": "tiercel-dramatiq",
        "rq": "tiercel-rq",
    },
    "integrations": {
        "asgi": "tiercel-asgi",
        "django": "tiercel-django",
        "flask": "tiercel-flask",
    },
    "key_fields": {"django": "tiercel-django"},
    "observers": {"opentelemetry": "tiercel-opentelemetry"},
}
"""The distribution that provides a name, by kind: makes "pip install ..." possible."""

BUILT_IN: Mapping[str, str] = {
    "codecs": "tiercel.codec:BUILTIN_CODECS",
    "dispatchers": "tiercel.dispatch:BUILTIN_DISPATCHERS",
}
"""Where core keeps its own specs, by kind. Named rather than imported, as plugins are:
dispatchers stand above this layer, and nothing is imported before it is asked for."""

WITHOUT_PLUGIN: Mapping[str, tuple[str, ...]] = {"backends": ("memory",)}
"""Names that users write like a plugin's, but that core serves without one."""
