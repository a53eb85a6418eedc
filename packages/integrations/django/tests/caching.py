"""Caches of Django under test: `TiercelCache` on every kind of tier, called both ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from django.core.cache import BaseCache, caches
from pytest_django import Settings

from tiercel_django import opened

BACKEND = "tiercel_django.cache.TiercelCache"
KINDS = ("memory", "two_tiers", "shared", "named")


class Hand:
    """Calls the methods of a cache of Django, or their twins."""

    def __init__(self, awaited: bool) -> None:
        self.awaited = awaited

    async def __call__(self, cache: BaseCache, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.awaited:
            return await getattr(cache, f"a{method}")(*args, **kwargs)
        return getattr(cache, method)(*args, **kwargs)


class Caches:
    """Aliases of `CACHES` that share one store of a kind.

    Attributes:
        kind: One of `KINDS`.
        options: `OPTIONS` of every alias.
    """

    def __init__(self, settings: Settings, kind: str, url: str, **options: Any) -> None:
        self._settings = settings
        self.kind = kind
        self.options = options
        self.unique = uuid4().hex[:8]
        where = f"{url}?prefix={self.unique}"
        self._location = {"memory": "", "shared": f"{where}&memory=0"}.get(kind, where)
        if kind == "named":
            settings.TIERCEL = {"CACHES": {"shop": {"url": where, "timeout": 60.0}}}
            self._location = "shop"
        elif kind != "memory":
            self.options = {"timeout": 60.0, **options}
        self._aliases: dict[str, Any] = {}
        self.add("default")

    @property
    def cache(self) -> BaseCache:
        """The default one."""
        return caches["default"]

    def add(self, alias: str, **params: Any) -> BaseCache:
        """Configure one more alias."""
        options = self.options if self.kind == "named" else {"name": self.unique, **self.options}
        given = {"BACKEND": BACKEND, "LOCATION": self._location, "OPTIONS": options}
        self._aliases[alias] = {**given, **params}
        self._settings.CACHES = dict(self._aliases)
        return caches[alias]

    def process(self) -> BaseCache:
        """Return the default one as another process has it: with a memory of its own."""
        assert self.kind in ("two_tiers", "shared")
        name = uuid4().hex
        return self.add(name, OPTIONS={"name": name, **self.options})


@contextmanager
def opened_caches() -> Iterator[None]:
    """Close in the end what was opened in between, and forget it."""
    with patch.dict(opened._caches, clear=True):
        yield
        for cache in opened.opened():
            cache.close()
