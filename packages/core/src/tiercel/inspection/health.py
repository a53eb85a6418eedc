"""Whether everything works: versions, plugins, caches, functions, and what frameworks add."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import distributions

from tiercel.configuration import get_cache
from tiercel.contracts.integration import Finding
from tiercel.errors import TiercelError
from tiercel.inspection.caches import caches_by_hand
from tiercel.inspection.functions import AnyFunction, known_functions
from tiercel.inspection.tier_health import examine_cache
from tiercel.oversight import cache_names, plugin_states
from tiercel.plugins import default_registry
from tiercel.plugins.survey import State


def examine_all() -> list[Finding]:
    """Look at everything that has to work, and say what to do about what does not.

    Asks every shared tier, writes a probe that lives for seconds, and loads every plugin.
    """
    return [
        _versions(),
        *_plugins(),
        *_caches(),
        *_functions(),
        *_of_frameworks(),
    ]


def _versions() -> Finding:
    """Say what runs here: reports of trouble need it."""
    ours = {
        found.metadata["Name"]: found.version
        for found in distributions()
        if (found.metadata["Name"] or "").startswith("tiercel")
    }
    listed = ", ".join(f"{name} {version}" for name, version in sorted(ours.items()))
    python = f"Python {platform.python_version()}"
    return Finding("versions", "ok", f"{python}, {listed}" if listed else python)


def _plugins() -> Iterator[Finding]:
    states = plugin_states()
    broken = [each for each in states if each.state is State.BROKEN]
    for each in broken:
        advice = f"upgrade or uninstall {each.distribution}, or name it in TIERCEL_DISABLE_PLUGINS"
        yield Finding(f"plugin {each.name}", "wrong", each.reason, advice)
    if not broken:
        yield Finding("plugins", "ok", f"{len(states)} work")


def _caches() -> Iterator[Finding]:
    for name in cache_names():
        try:
            cache = get_cache(name)
        except TiercelError as error:
            yield Finding(f"cache {name}", "wrong", str(error), "correct its configuration")
        else:
            yield from examine_cache(cache)
    for cache in caches_by_hand().values():
        yield from examine_cache(cache)


def _functions() -> Iterator[Finding]:
    functions, failed = known_functions(), 0
    for each in functions:
        try:
            _ = each.subject
        except TiercelError as error:
            failed += 1
            yield _unbound(each, str(error))
    if not functions:
        advice = "name the application with --app, so that its functions are imported"
        yield Finding("functions", "warning", "this process knows none", advice)
    elif not failed:
        rules = sum(len(each.rules) for each in functions)
        yield Finding("functions", "ok", f"{len(functions)} with {rules} rules")


def _unbound(function: AnyFunction, error: str) -> Finding:
    subject = f"function {function.name}"
    if function.is_apart:  # other applications of this process may well have its cache
        return Finding(subject, "warning", error, "call it only in applications that have it")
    return Finding(subject, "wrong", error, "correct its decorator")


def _of_frameworks() -> Iterator[Finding]:
    for integration in default_registry().integrations.values():
        yield from integration.findings()
