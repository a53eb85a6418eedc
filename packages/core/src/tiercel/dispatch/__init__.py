"""Dispatchers that need nothing but this process, and how a dispatcher is made by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from tiercel.contracts.dispatcher import Dispatcher, DispatcherSpec
from tiercel.contracts.version import SPI_VERSION
from tiercel.dispatch.aio import AsyncioDispatcher
from tiercel.dispatch.inline import InlineDispatcher
from tiercel.dispatch.task import FunctionTask
from tiercel.dispatch.threadpool import QueueFull, ThreadPoolDispatcher, WhenFull
from tiercel.errors import ConfigurationError
from tiercel.plugins import Registry, default_registry

__all__ = [
    "BUILTIN_DISPATCHERS",
    "AsyncioDispatcher",
    "FunctionTask",
    "InlineDispatcher",
    "QueueFull",
    "ThreadPoolDispatcher",
    "WhenFull",
    "dispatcher_spec",
    "make_dispatcher",
]

BUILTIN_DISPATCHERS = (
    DispatcherSpec("inline", lambda options: InlineDispatcher(), SPI_VERSION),
    DispatcherSpec(
        "threadpool",
        lambda options: ThreadPoolDispatcher(**options),
        SPI_VERSION,
        frozenset({"max_queue", "max_workers", "shutdown_timeout", "when_full"}),
    ),
    DispatcherSpec("asyncio", lambda options: AsyncioDispatcher(), SPI_VERSION),
)


def dispatcher_spec(
    name: str, options: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> DispatcherSpec:
    """Return the spec of the dispatcher called `name`, once it is sure that it has these options.

    Args:
        name: The name of a built-in dispatcher or of a plugin.
        options: The dispatcher's own options; `dispatcher_config=` of a cached function.
        registry: Where to look; by default the registry of the process.

    Raises:
        ConfigurationError: The dispatcher has no such option.
        PluginError: There is no such dispatcher, or it cannot be loaded.
    """
    spec = (registry or default_registry()).dispatcher(name)
    for unknown in sorted((options or {}).keys() - spec.options):
        known = ", ".join(sorted(spec.options)) or "none"
        close = get_close_matches(unknown, spec.options, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigurationError(
            f"dispatcher {name!r} has no option {unknown!r}; its options: {known}{hint}"
        )
    return spec


def make_dispatcher(
    name: str, options: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> Dispatcher:
    """Make the dispatcher called `name`; raises as `dispatcher_spec` does, or for a wrong value."""
    return dispatcher_spec(name, options, registry).factory(options or {})
