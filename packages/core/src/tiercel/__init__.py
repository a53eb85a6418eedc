"""Tiercel: caching for Python that is fast, correct, and says why it missed.

General layout, from what you use down to what it stands on:

    cli/           the command line; scaffold, the plugins that it makes
    inspection/    answers questions about caches, functions, rules and entries
    bulletins/     what each process tells those who watch all of them
    doors/         spellings of the decorator: cache_result, ...
    configuration  the caches of an application, by name
    caches         Cache: decorates functions, holds values set by hand
    jobs/          what is served stale and refreshed in the background
    function       what a decorator makes of a function
    worker         what another process does with a task that was sent there
    invalidation/  which changes of rows drop which entries
    dispatch/      tasks, and where they run
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
from tiercel.doors.job import cacheback
from tiercel.doors.request import request_cached
from tiercel.doors.result import cache_result
from tiercel.doors.timed import cached_for
from tiercel.doors.view import InMemoryCache, cache_response, cached_view
from tiercel.errors import (
    AsyncValueBeingBuiltException,
    AsyncValueError,
    AsyncValueFailedToBeBuiltException,
    ConfigurationError,
    SkipViewCaching,
    TiercelError,
    UnkeyableValue,
    ViewCachingError,
    ViewCachingWarning,
)
from tiercel.events import Cause, Status, Tier
from tiercel.invalidation import InvalidationRule, SignalType, achanged, changed
from tiercel.jobs.base import Job
from tiercel.jobs.functions import FunctionJob
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
from tiercel.scope import request_scope
from tiercel.spaces import Space
from tiercel.switch import disabled
from tiercel.web.headers import set_response_cache_header
from tiercel.web.judging import CachedResponse

CacheKeyField = KeyField
alan_cache = default_cache

__all__ = [
    "CACHE_MISSING",
    "ArgsKeyField",
    "AsyncValueBeingBuiltException",
    "AsyncValueError",
    "AsyncValueFailedToBeBuiltException",
    "Cache",
    "CacheKeyField",
    "CachedFunction",
    "CachedResponse",
    "CallableKeyField",
    "Cause",
    "ConfigurationError",
    "ConstantKeyField",
    "ContextVarKeyField",
    "CookieKeyField",
    "DefaultKeyConstructor",
    "FunctionJob",
    "HeaderKeyField",
    "HostKeyField",
    "InMemoryCache",
    "InlineKeyConstructor",
    "InvalidationRule",
    "Job",
    "KeyConstructor",
    "KeyField",
    "Metadata",
    "MethodKeyField",
    "PathKeyField",
    "QueryParamsKeyField",
    "RequestValueKeyField",
    "SettingKeyField",
    "SignalType",
    "SkipViewCaching",
    "Space",
    "Status",
    "Tier",
    "TiercelError",
    "TimeBucketKeyField",
    "UnkeyableValue",
    "ViewCachingError",
    "ViewCachingWarning",
    "ViewKwargsKeyField",
    "achanged",
    "alan_cache",
    "cache_response",
    "cache_result",
    "cacheback",
    "cached_for",
    "cached_view",
    "changed",
    "configure",
    "default_cache",
    "disabled",
    "get_cache",
    "register_plugin",
    "request_cached",
    "request_scope",
    "set_response_cache_header",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("tiercel")
    raise AttributeError(f"module 'tiercel' has no attribute {name!r}")
