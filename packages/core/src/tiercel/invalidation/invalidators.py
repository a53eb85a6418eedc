"""A project's own invalidators: found by name, checked, and told what they want to know."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from tiercel.errors import ConfigurationError
from tiercel.invalidation.rules import Invalidator

EXTRAS: Final = ("signal_type", "instance_created", "update_fields")
"""What an invalidator may ask for besides the function and the row."""


def check_invalidator(what: str, given: Invalidator | str) -> None:
    """Refuse what cannot be called as invalidators are; a module is not imported for that.

    Args:
        what: Names the rule in errors.
        given: The function, or its dotted name.

    Raises:
        ConfigurationError: There is no such function, or it wants other arguments.
    """
    if not isinstance(given, str):
        wanted_extras(what, given)
        return
    module, _, _ = given.rpartition(".")
    loaded = sys.modules.get(module)
    if loaded is not None and not _is_being_imported(loaded):
        wanted_extras(what, resolve(what, given))
    elif loaded is None and _is_missing(module.partition(".")[0]):
        raise ConfigurationError(f"{what}: invalidator {given!r}: there is no such module")


def resolve(what: str, given: Invalidator | str) -> Invalidator:
    """Return an invalidator, importing the module that its dotted name says.

    Raises:
        ConfigurationError: There is no such module or function.
    """
    if not isinstance(given, str):
        return given
    module, _, name = given.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"{what}: invalidator {given!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not callable(found):
        raise ConfigurationError(f"{what}: invalidator {given!r} is no function, but {found!r}")
    invalidator: Invalidator = found
    return invalidator


def name_of_invalidator(given: Invalidator | str) -> str:
    """Return what two processes can compare."""
    if isinstance(given, str):
        return given
    module = getattr(given, "__module__", None) or type(given).__module__
    name = getattr(given, "__qualname__", None) or type(given).__qualname__
    return f"{module}.{name}"


def is_asynchronous(invalidator: Invalidator) -> bool:
    """Tell whether calling it gives something to be awaited."""
    called = getattr(invalidator, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(invalidator) or inspect.iscoroutinefunction(called)


def wanted_extras(what: str, invalidator: Callable[..., Any]) -> tuple[str, ...]:
    """Return the extras that the signature of an invalidator takes.

    Raises:
        ConfigurationError: It cannot be called with a function and a row, or wants more than
            these and the extras.
    """
    try:
        signature = inspect.signature(invalidator)
    except (TypeError, ValueError):
        return ()
    parameters = signature.parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    names = tuple(name for name in EXTRAS if takes_any or name in parameters)
    try:
        signature.bind(None, None, **dict.fromkeys(names))
    except TypeError as error:
        raise ConfigurationError(
            f"{what}: invalidator {name_of_invalidator(invalidator)}{signature} cannot be called: "
            f"{error}; it gets (wrapper, instance) and by name what it takes of {', '.join(EXTRAS)}"
        ) from None
    return names


def chosen(names: tuple[str, ...], extras: Mapping[str, Any]) -> dict[str, Any]:
    """Return those extras that an invalidator takes."""
    return {name: extras[name] for name in names}


def _is_being_imported(module: Any) -> bool:
    spec = getattr(module, "__spec__", None)
    return spec is None or bool(getattr(spec, "_initializing", False))


def _is_missing(top: str) -> bool:
    try:
        return top not in sys.modules and find_spec(top) is None
    except (ImportError, ValueError):
        return True
