"""What freezing makes of the plugins that act without being asked for by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from tiercel.contracts.integration import Integration
from tiercel.contracts.key_field import KeyFieldSpec
from tiercel.contracts.observer import Observer
from tiercel.errors import PluginError
from tiercel.plugins import failures
from tiercel.plugins.kinds import INTEGRATIONS, KEY_FIELDS, OBSERVERS, Kind
from tiercel.plugins.observing import NOBODY, Observers

if TYPE_CHECKING:
    from tiercel.plugins.provided import Provided
    from tiercel.plugins.registry import Registry

logger = logging.getLogger("tiercel.plugins")

Live = TypeVar("Live")


@dataclass(frozen=True, slots=True)
class Frozen:
    """The plugins that act without being asked for; nothing in it changes.

    Attributes:
        observers: What listens.
        integrations: Live integrations by name.
        isolations: The bound methods `is_isolated` of those that override it.
        key_fields: Specs of key fields by name.
        failures: Why others were left out, by kind and name.
    """

    observers: Observers = NOBODY
    integrations: Mapping[str, Integration] = field(default_factory=dict)
    isolations: tuple[Callable[[], bool], ...] = ()
    key_fields: Mapping[str, KeyFieldSpec] = field(default_factory=dict)
    failures: Mapping[tuple[str, str], PluginError] = field(default_factory=dict)


NOTHING = Frozen()


def freeze(registry: Registry) -> Frozen:
    """Load and build all plugins of the eager kinds; broken ones are logged and left out."""
    broken: dict[tuple[str, str], PluginError] = {}
    key_fields = _load_all(registry, KEY_FIELDS, broken)
    integrations = _build_all(registry, INTEGRATIONS, Integration, broken)
    observers = _build_all(registry, OBSERVERS, Observer, broken)
    return Frozen(
        Observers(
            {
                f"observer {name!r} ({provided.owner})": observer
                for name, (provided, observer) in observers.items()
            }
        ),
        MappingProxyType({name: live for name, (_, live) in integrations.items()}),
        tuple(
            live.is_isolated
            for _, live in integrations.values()
            if type(live).is_isolated is not Integration.is_isolated
        ),
        MappingProxyType({name: provided.spec for name, provided in key_fields.items()}),
        MappingProxyType(broken),
    )


def _load_all(
    registry: Registry, kind: Kind[Any], broken: dict[tuple[str, str], PluginError]
) -> dict[str, Provided]:
    found = {}
    for name in sorted(registry.names(kind)):
        try:
            found[name] = registry.resolve(kind, name)
        except PluginError as error:
            _leave_out(kind, name, error, broken)
    return found


def _build_all(
    registry: Registry,
    kind: Kind[Any],
    base: type[Live],
    broken: dict[tuple[str, str], PluginError],
) -> dict[str, tuple[Provided, Live]]:
    built = {}
    for name, provided in _load_all(registry, kind, broken).items():
        try:
            built[name] = provided, _build(kind, name, provided, base)
        except PluginError as error:
            _leave_out(kind, name, error, broken)
    return built


def _build(kind: Kind[Any], name: str, provided: Provided, base: type[Live]) -> Live:
    subject = f"{kind.word} {name!r} ({provided.owner})"
    try:
        live = provided.spec.factory()
    except Exception as error:
        raise failures.invalid(subject, f"its factory failed: {failures.reason(error)}") from error
    if not isinstance(live, base):
        why = f"its factory returned {live!r}, which is no {base.__name__}"
        raise failures.invalid(subject, why)
    return live


def _leave_out(
    kind: Kind[Any], name: str, error: PluginError, broken: dict[tuple[str, str], PluginError]
) -> None:
    broken[kind.name, name] = error
    logger.warning("left out: %s", error, exc_info=error.__cause__)
