"""Every hook of Tiercel, in the order in which plugins are told: first what they provide, then
that the caches stand.

Hooks that provide something return specs: names and factories, nothing that connects or imports
a client library. They are called for one plugin at a time, so their order never matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from tiercel.contracts.backend import BackendSpec
    from tiercel.contracts.codec import CodecSpec
    from tiercel.contracts.dispatcher import DispatcherSpec
    from tiercel.contracts.integration import IntegrationSpec
    from tiercel.contracts.key_field import KeyFieldSpec
    from tiercel.contracts.observer import ObserverSpec

PROJECT = "tiercel"

hookspec = pluggy.HookspecMarker(PROJECT)
"""Marks the hooks of this module."""

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function, of the same name as the hook, as its implementation."""


@hookspec
def tiercel_key_fields() -> Iterable[KeyFieldSpec]:
    """Provide key fields, and encoders for types that may then be part of a key.

    When called: once, when plugins are frozen, since encoders act without being asked for by
        name; or at `Registry.register`.
    Arguments: none.
    Results: specs, named like their entry points in `tiercel.key_fields`. All plugins' specs
        are collected; a name provided twice is logged and left out.
    Threads and cost: any thread, start-up only, never on an event loop's time; synchronous.
    Since: SPI 1.0.
    """
    raise NotImplementedError


@hookspec
def tiercel_integrations() -> Iterable[IntegrationSpec]:
    """Provide integrations: what teaches Tiercel a framework.

    When called: once, when plugins are frozen; or at `Registry.register`.
    Arguments: none.
    Results: specs, named like their entry points in `tiercel.integrations`. Each factory is
        called right afterwards; a name provided twice is logged and left out.
    Threads and cost: any thread, start-up only; synchronous. Import the framework's modules in
        the integration's methods where that may fail before the framework is set up.
    Since: SPI 1.0.
    """
    raise NotImplementedError


@hookspec
def tiercel_observers() -> Iterable[ObserverSpec]:
    """Provide observers: what is told of hits, computations, drops and trouble.

    When called: once, when plugins are frozen; or at `Registry.register`.
    Arguments: none.
    Results: specs, named like their entry points in `tiercel.observers`. Each factory is called
        right afterwards and its overridden methods join one tuple per event; a name provided
        twice is logged and left out.
    Threads and cost: any thread, start-up only; synchronous. The observer's methods, not this
        hook, run with the application's calls.
    Since: SPI 1.0.
    """
    raise NotImplementedError


@hookspec
def tiercel_backends() -> Iterable[BackendSpec]:
    """Provide backends: what stores the bytes of a shared tier.

    When called: once, when a cache first asks for one of the plugin's URL schemes; or at
        `Registry.register`.
    Arguments: none.
    Results: specs, named like their entry points in `tiercel.backends`. Only the spec of the
        scheme asked for is taken; a name provided twice is an error for those who ask for it.
    Threads and cost: any thread, once per plugin when caches are configured; synchronous. The
        factory imports the client library, not the plugin's module.
    Since: SPI 1.0.
    """
    raise NotImplementedError


@hookspec
def tiercel_dispatchers() -> Iterable[DispatcherSpec]:
    """Provide dispatchers: what decides where a task runs.

    When called: once, when one of the plugin's names is first asked for; or at
        `Registry.register`.
    Arguments: none.
    Results: specs, named like their entry points in `tiercel.dispatchers`. Only the spec asked
        for is taken; a name provided twice is an error for those who ask for it.
    Threads and cost: any thread, once per plugin when functions are bound; synchronous.
    Since: SPI 1.0.
    """
    raise NotImplementedError


@hookspec
def tiercel_codecs() -> Iterable[CodecSpec]:
    """Provide codecs: what turns values into bytes and back.

    When called: once, when one of the plugin's names is first asked for; or at
        `Registry.register`.
    Arguments: none.
    Results: specs, named like their entry points in `tiercel.codecs`. Only the spec asked for is
        taken; a name provided twice is an error for those who ask for it.
    Threads and cost: any thread, once per plugin when caches are configured; synchronous.
    Since: SPI 1.0.
    """
    raise NotImplementedError


@hookspec
def tiercel_configured(caches: Mapping[str, Any]) -> None:
    """Tell a plugin that the caches are configured.

    When called: once after each configuration; a plugin that is loaded later is told when it is.
    Arguments: `caches` holds every `Cache` by its name; it cannot be changed.
    Results: none. An exception is logged with the plugin's distribution; the others are told.
    Threads and cost: the configuring thread, start-up only; synchronous.
    Since: SPI 1.0.
    """
