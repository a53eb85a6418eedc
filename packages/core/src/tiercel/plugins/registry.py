"""The registry: which plugins there are, and the specs they provide, by kind and name."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any

from tiercel.contracts.backend import BackendSpec
from tiercel.contracts.codec import CodecSpec
from tiercel.contracts.dispatcher import DispatcherSpec
from tiercel.contracts.integration import Integration
from tiercel.contracts.key_field import KeyFieldSpec
from tiercel.errors import ConfigurationError, PluginError
from tiercel.plugins import failures
from tiercel.plugins.catalogue import BUILT_IN, WITHOUT_PLUGIN
from tiercel.plugins.discovery import Installation, Installed
from tiercel.plugins.frozen import NOTHING, Frozen, freeze
from tiercel.plugins.kinds import BACKENDS, CODECS, DISPATCHERS, KINDS, Kind, SpecT
from tiercel.plugins.manager import HookManager
from tiercel.plugins.observing import Observers
from tiercel.plugins.provided import Origin, Provided, check_spi

logger = logging.getLogger("tiercel.plugins")


class Registry:
    """Finds plugins by kind and name, and imports only those that are asked for.

    Backends, dispatchers and codecs are loaded when somebody asks for one. Key fields,
    integrations and observers act without being asked, so `freeze` loads all of them; a broken
    one is logged and left out. From then on code cannot register plugins any more, and what was
    loaded is read from plain dicts and tuples: no hook is called.

    The environment is read when a registry is made: `TIERCEL_DISABLE_PLUGINS` (`NAME`,
    `KIND:NAME` or `*`, separated by commas) and `TIERCEL_TRACE_PLUGINS`.
    """

    def __init__(self) -> None:
        self.installation = Installation()
        self._manager = HookManager()
        self._built_in: dict[str, dict[str, Provided]] = {}
        self._registered: dict[tuple[str, str], Provided] = {}
        self._resolved: dict[tuple[str, str], Provided] = {}
        self._frozen: Frozen | None = None
        self._freezing = False
        self._caches: Mapping[str, Any] | None = None
        self._lock = threading.RLock()

    # What is asked for by name

    def backend(self, name: str) -> BackendSpec:
        """Return the backend for a URL scheme.

        Raises:
            PluginNotInstalled: It is known, but its distribution is missing.
            UnknownPlugin: Nobody provides the name.
            PluginBroken: It cannot be imported, breaks the rules, or several provide the name.
            PluginIncompatible: It was written for another SPI version.
            PluginError: It is disabled by the environment.
        """
        return self._spec(BACKENDS, name)

    def dispatcher(self, name: str) -> DispatcherSpec:
        """Return the dispatcher called `name`; raises as `backend` does."""
        return self._spec(DISPATCHERS, name)

    def codec(self, name: str) -> CodecSpec:
        """Return the codec called `name`; raises as `backend` does."""
        return self._spec(CODECS, name)

    # What acts without being asked for

    @property
    def observers(self) -> Observers:
        """What listens; freezes the registry."""
        return self.freeze().observers

    @property
    def integrations(self) -> Mapping[str, Integration]:
        """The integrations by name; freezes the registry."""
        return self.freeze().integrations

    @property
    def isolations(self) -> tuple[Callable[[], bool], ...]:
        """What tells whether code sees what others do not; freezes the registry."""
        frozen = self._frozen  # each miss asks twice
        return (self.freeze() if frozen is None else frozen).isolations

    @property
    def key_fields(self) -> Mapping[str, KeyFieldSpec]:
        """The specs of key fields by name; freezes the registry."""
        return self.freeze().key_fields

    @property
    def failures(self) -> Mapping[tuple[str, str], PluginError]:
        """Why plugins were left out, by kind and name; freezes the registry."""
        return self.freeze().failures

    # What happens once

    def register(self, plugin: object) -> None:
        """Add a plugin that no distribution brings: a module, or an object with marked methods.

        Raises:
            ConfigurationError: The registry is frozen, or `plugin` is a class.
            PluginBroken: It does not keep to the hooks, or a name is already registered.
            PluginIncompatible: It was written for another SPI version.
        """
        label = _label(plugin)
        if inspect.isclass(plugin):
            raise ConfigurationError(f"{label} is a class: register an instance of it")
        if self._frozen or self._freezing:
            raise ConfigurationError(
                f"{label} comes too late, plugins are frozen: register it before the first use "
                "of a cache"
            )
        with self._lock:
            new = plugin not in self._manager
            self._manager.add(plugin, label)
            try:
                self._registered |= self._everything(plugin, label)
            except PluginError:
                if new:
                    self._manager.remove(plugin)
                raise

    def freeze(self) -> Frozen:
        """Load everything that acts without being asked; later calls return the same.

        A plugin that uses a cache while it is being loaded finds nothing here yet.
        """
        if self._frozen is None:
            # Imported before the lock is taken: another thread may hold an import lock and
            # want ours.
            for installed in self.installation:
                if installed.kind.eager and not installed.disabled:
                    _import_early(installed)
            with self._lock:
                if self._freezing:
                    return NOTHING
                if self._frozen is None:
                    self._freezing = True
                    try:
                        self._frozen = freeze(self)
                    finally:
                        self._freezing = False
        return self._frozen

    def configured(self, caches: Mapping[str, Any]) -> None:
        """Tell every plugin, now or when it is loaded, that these caches stand."""
        with self._lock:
            self._caches = MappingProxyType(dict(caches))
            for plugin, subject in self._manager.plugins():
                self._tell_configured(plugin, subject)

    def renew_lock(self) -> None:
        """Replace the lock: one that was held during a fork stays locked in the child."""
        self._lock = threading.RLock()

    # How a name becomes a spec

    def names(self, kind: Kind[Any]) -> frozenset[str]:
        """Return every name of a kind that can be asked for."""
        installed = (plugin.name for plugin in self.installation.of_kind(kind))
        return frozenset([*self.own(kind), *installed])

    def own(self, kind: Kind[Any]) -> Mapping[str, Provided]:
        """Return what needs no entry point, core's own and what code registered, by name."""
        registered = (each for (of, _), each in self._registered.items() if of == kind.name)
        return self._core(kind) | {each.spec.name: each for each in registered}

    def loaded(self, kind: Kind[Any], name: str) -> bool:
        """Whether the plugin has been asked for and was found."""
        return (kind.name, name) in self._resolved

    def resolve(self, kind: Kind[Any], name: str) -> Provided:
        """Find what provides `name`, loading it if need be; raises as `backend` does."""
        found = self._resolved.get((kind.name, name))
        return found if found is not None else self._find(kind, name)

    def _spec(self, kind: Kind[SpecT], name: str) -> SpecT:
        spec: SpecT = self.resolve(kind, name).spec
        return spec

    def _core(self, kind: Kind[Any]) -> dict[str, Provided]:
        if kind.name not in self._built_in:
            where = BUILT_IN.get(kind.name)
            specs = resolve_name(where) if where else ()
            version = failures.core_version()
            self._built_in[kind.name] = {
                spec.name: Provided(spec, Origin.BUILT_IN, "tiercel", version) for spec in specs
            }
        return self._built_in[kind.name]

    def _find(self, kind: Kind[Any], name: str) -> Provided:
        own = self.own(kind).get(name)
        everywhere = self.installation.named(kind, name)
        installed = [each for each in everywhere if not (each.disabled or _same(own, each))]
        owners = [own.owner] if own else []
        owners += [each.owner for each in installed]
        if len(owners) > 1:
            raise failures.duplicate(kind, name, owners)
        if not owners:
            if everywhere:
                raise failures.disabled(kind, name, everywhere[0].owner)
            raise failures.missing(
                kind, name, self.names(kind).union(WITHOUT_PLUGIN.get(kind.name, ()))
            )
        provided = own or self._load(installed[0])
        return self._resolved.setdefault((kind.name, name), provided)

    def _load(self, installed: Installed) -> Provided:
        plugin = installed.load()
        with self._lock:
            new = plugin not in self._manager
            self._manager.add(plugin, installed.subject)
            try:
                provided = self._named(plugin, installed)
            except PluginError:
                if new:
                    self._manager.remove(plugin)
                raise
            if new and self._caches is not None:
                self._tell_configured(plugin, installed.subject)
        return provided

    def _named(self, plugin: object, installed: Installed) -> Provided:
        specs = {spec.name: spec for spec in self._manager.specs(plugin, installed.kind)}
        if installed.name not in specs:
            names = ", ".join(map(repr, sorted(specs))) or "nothing"
            why = f"its entry point must be named like what it provides, which is {names}"
            raise failures.invalid(installed.subject, why)
        spec = specs[installed.name]
        check_spi(spec, installed.distribution, installed.version)
        return Provided(spec, Origin.INSTALLED, installed.distribution, installed.version)

    def _everything(self, plugin: object, label: str) -> dict[tuple[str, str], Provided]:
        found = {}
        for kind in KINDS:
            for spec in self._manager.specs(plugin, kind):
                check_spi(spec, label, "")
                provided = Provided(spec, Origin.REGISTERED, label, "", plugin)
                other = self.own(kind).get(spec.name)
                if other and other.plugin is not plugin:
                    raise failures.duplicate(kind, spec.name, [other.owner, label])
                found[kind.name, spec.name] = provided
        return found

    def _tell_configured(self, plugin: object, subject: str) -> None:
        try:
            self._manager.configured(plugin, self._caches or {})
        except Exception:
            logger.exception("%s failed in tiercel_configured", subject)


def _import_early(installed: Installed) -> None:
    try:
        installed.load()
    except PluginError as error:
        # Reported with its subject when freezing asks for it again.
        logger.debug("%s", error)


def _label(plugin: object) -> str:
    if inspect.ismodule(plugin):
        return f"module {plugin.__name__}"
    cls = plugin if inspect.isclass(plugin) else type(plugin)
    return f"{cls.__module__}.{cls.__qualname__}"


def _same(own: Provided | None, installed: Installed) -> bool:
    """Whether code registered the very module that an entry point names."""
    return own is not None and getattr(own.plugin, "__name__", "") == installed.entry_point.value
