"""Tiercel: caching for Python that is fast, correct, and says why it missed.

General layout, from what you use down to what it stands on:

    doors/         spellings of the decorator: cache_result, ...
    configuration  the caches of an application, by name
    caches         Cache: decorates functions, holds values set by hand
    function       what a decorator makes of a function
    engine/        every decision, once, without input or output; two drivers
    memory/        the tier in this process, and hitpath, the code generated for its hits
    keys/  codec/  arguments to keys, values to bytes
    plugins/       who provides backends, dispatchers, codecs, observers
    contracts/     what such a plugin implements; plugins import it from tiercel.spi
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

from tiercel.cached import CachedFunction
from tiercel.caches import Cache
from tiercel.configuration import configure, default_cache, get_cache, register_plugin
from tiercel.contracts.key_field import KeyField
from tiercel.doors.result import cache_result
from tiercel.errors import ConfigurationError, TiercelError, UnkeyableValue
from tiercel.events import Cause, Status, Tier
from tiercel.keys.constructor import DefaultKeyConstructor, InlineKeyConstructor, KeyConstructor
from tiercel.keys.fields import (
    ArgsKeyField,
    CallableKeyField,
    ConstantKeyField,
    ContextVarKeyField,
    SettingKeyField,
    TimeBucketKeyField,
    ViewKwargsKeyField,
)
from tiercel.keys.request_fields import (
    CookieKeyField,
    HeaderKeyField,
    HostKeyField,
    MethodKeyField,
    PathKeyField,
    QueryParamsKeyField,
    RequestValueKeyField,
)
from tiercel.outcomes import CACHE_MISSING, Metadata
from tiercel.switch import disabled

CacheKeyField = KeyField
alan_cache = default_cache

__all__ = [
    "CACHE_MISSING",
    "ArgsKeyField",
    "Cache",
    "CacheKeyField",
    "CachedFunction",
    "CallableKeyField",
    "Cause",
    "ConfigurationError",
    "ConstantKeyField",
    "ContextVarKeyField",
    "CookieKeyField",
    "DefaultKeyConstructor",
    "HeaderKeyField",
    "HostKeyField",
    "InlineKeyConstructor",
    "KeyConstructor",
    "KeyField",
    "Metadata",
    "MethodKeyField",
    "PathKeyField",
    "QueryParamsKeyField",
    "RequestValueKeyField",
    "SettingKeyField",
    "Status",
    "Tier",
    "TiercelError",
    "TimeBucketKeyField",
    "UnkeyableValue",
    "ViewKwargsKeyField",
    "alan_cache",
    "cache_result",
    "configure",
    "default_cache",
    "disabled",
    "get_cache",
    "register_plugin",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("tiercel")
    raise AttributeError(f"module 'tiercel' has no attribute {name!r}")
