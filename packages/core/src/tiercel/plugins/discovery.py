"""Finds installed plugins by their entry points, without importing any of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tiercel.errors import ConfigurationError
from tiercel.plugins import failures
from tiercel.plugins.kinds import KINDS, Kind

DISABLE = "TIERCEL_DISABLE_PLUGINS"


@dataclass(frozen=True, slots=True)
class Installed:
    """One entry point of an installed distribution.

    Attributes:
        kind: Decided by the entry point's group.
        entry_point: Its name is the plugin's name, its value a module or an object in one.
        disabled: Whether the environment says not to use it.
    """

    kind: Kind[Any]
    entry_point: EntryPoint
    disabled: bool

    @property
    def name(self) -> str:
        """What users call the plugin."""
        return self.entry_point.name

    @property
    def distribution(self) -> str:
        """The name of the distribution that brings it."""
        dist = self.entry_point.dist
        return dist.name if dist else self.entry_point.module

    @property
    def version(self) -> str:
        """The distribution's version; empty if its metadata does not say."""
        dist = self.entry_point.dist
        return (dist and dist.version) or ""

    @property
    def owner(self) -> str:
        """The distribution with its version, for messages."""
        return f"{self.distribution} {self.version}".rstrip()

    @property
    def subject(self) -> str:
        """The whole of it, for messages."""
        return f"{self.kind.word} {self.name!r} ({self.owner})"

    def load(self) -> object:
        """Import the plugin.

        Raises:
            PluginBroken: Importing failed, for whatever reason.
        """
        try:
            return self.entry_point.load()
        except Exception as error:
            raise failures.unimportable(self.subject, error) from error


class Installation:
    """Every installed plugin, sorted by kind and name; read once from the distributions' metadata.

    `TIERCEL_DISABLE_PLUGINS` lists plugins to leave out, separated by commas: `NAME`,
    `KIND:NAME` or `*` for all. It concerns installed plugins, neither those of core nor those
    that code registers.

    Raises:
        ConfigurationError: The variable names a kind that does not exist.
    """

    def __init__(self) -> None:
        disabled = _disabled_names(os.environ.get(DISABLE, ""))
        everything = entry_points()
        self._plugins: dict[tuple[str, str], list[Installed]] = {}
        for kind in KINDS:
            for entry_point in sorted(everything.select(group=kind.group), key=_order):
                name = entry_point.name
                off = not disabled.isdisjoint({"*", name, f"{kind.name}:{name}"})
                plugin = Installed(kind, entry_point, off)
                self._plugins.setdefault((kind.name, name), []).append(plugin)

    def __iter__(self) -> Iterator[Installed]:
        for plugins in self._plugins.values():
            yield from plugins

    def of_kind(self, kind: Kind[Any]) -> list[Installed]:
        """Return the plugins of one kind that are not disabled, by name."""
        return [plugin for plugin in self if plugin.kind is kind and not plugin.disabled]

    def named(self, kind: Kind[Any], name: str) -> list[Installed]:
        """Return everything installed under a name: more than one is a conflict."""
        return self._plugins.get((kind.name, name), [])


def _order(entry_point: EntryPoint) -> tuple[str, str]:
    return entry_point.name, entry_point.value


def _disabled_names(text: str) -> frozenset[str]:
    names = frozenset(word.strip() for word in text.split(",") if word.strip())
    kinds = {kind.name for kind in KINDS}
    for name in sorted(names):
        kind, colon, _ = name.partition(":")
        if colon and kind not in kinds:
            raise ConfigurationError(
                f"{DISABLE}: {name!r} names no kind of plugin; write KIND:NAME with one of "
                + ", ".join(sorted(kinds))
            )
    return names
