"""Which dispatcher somebody gets: by name, with checked options, and within reach."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from tiercel.contracts.dispatcher import Dispatcher, DispatcherSpec
from tiercel.dispatch.queue import COMMON_OPTIONS, check_common_options
from tiercel.errors import ConfigurationError
from tiercel.plugins import Registry, default_registry


def dispatcher_spec(
    name: str, options: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> DispatcherSpec:
    """Return the spec of the dispatcher called `name`, once it is sure that it has these options.

    Args:
        name: The name of a built-in dispatcher or of a plugin.
        options: The dispatcher's own options; `dispatcher_config=` of a cached function.
        registry: Where to look; by default the registry of the process.

    Raises:
        ConfigurationError: The dispatcher has no such option, or it is one that all queues have
            and its value cannot work.
        PluginError: There is no such dispatcher, or it cannot be loaded.
    """
    spec = (registry or default_registry()).dispatcher(name)
    given = options or {}
    for unknown in sorted(given.keys() - spec.options):
        known = ", ".join(sorted(spec.options)) or "none"
        close = get_close_matches(unknown, spec.options, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigurationError(
            f"dispatcher {name!r} has no option {unknown!r}; its options: {known}{hint}"
        )
    if spec.crosses_processes:
        common = {option: given[option] for option in COMMON_OPTIONS & given.keys()}
        check_common_options(common)
    return spec


def make_dispatcher(
    name: str, options: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> Dispatcher:
    """Make the dispatcher called `name`; raises as `dispatcher_spec` does, or for a wrong value."""
    return dispatcher_spec(name, options, registry).factory(options or {})


def checked_spec(name: str, options: Mapping[str, Any] | None = None) -> DispatcherSpec:
    """Return the spec of a dispatcher once it is sure that one can be made with these options.

    That is found out by making one, over the options that a framework is configured with. It has
    connected nothing, and is thrown away.

    Raises:
        ConfigurationError: It has no such option, or a value cannot work.
        PluginError: There is no such dispatcher, or it cannot be loaded.
    """
    if options:
        make_dispatcher(name, {**configured_options(name), **options})
    return dispatcher_spec(name, options)


def crosses_processes(name: str) -> bool:
    """Tell whether a dispatcher is known to perform tasks in other processes.

    Raises:
        PluginError: There is no such dispatcher, or it cannot be loaded.
    """
    return default_registry().dispatcher(name).crosses_processes


def out_of_reach(owner: str, dispatcher: str, cache: str, why: str = "") -> ConfigurationError:
    """Return the error for a dispatcher whose tasks could not reach the entries that they are for.

    Args:
        owner: Who has chosen it.
        dispatcher: Its name.
        cache: Name of the cache that has no shared tier.
        why: Instead of that, why nothing is shared.
    """
    because = f"with {why} nothing is shared" if why else f"cache {cache!r} has no shared tier"
    return ConfigurationError(
        f"{owner}: dispatcher {dispatcher!r} performs tasks in other processes, but {because}, so "
        "they could change nothing here: give the cache a URL such as redis://localhost/0, or "
        "choose a dispatcher of this process, such as 'threadpool'"
    )


def configured_dispatcher() -> str | None:
    """Return the dispatcher that a framework is configured to use where nobody chooses one."""
    for integration in default_registry().integrations.values():
        name = integration.default_dispatcher()
        if name is not None:
            return name
    return None


def configured_options(name: str) -> Mapping[str, Any]:
    """Return the options that frameworks are configured to give a dispatcher."""
    options: dict[str, Any] = {}
    for integration in default_registry().integrations.values():
        options |= integration.dispatcher_options(name)
    return options
