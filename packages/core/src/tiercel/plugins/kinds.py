"""The kinds of plugins: which word, hook, entry point group and spec belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tiercel.contracts.backend import BackendSpec
from tiercel.contracts.codec import CodecSpec
from tiercel.contracts.dispatcher import DispatcherSpec
from tiercel.contracts.integration import IntegrationSpec
from tiercel.contracts.key_field import KeyFieldSpec
from tiercel.contracts.observer import ObserverSpec


class Spec(Protocol):
    """What the specs of all kinds have in common."""

    @property
    def name(self) -> str: ...

    @property
    def spi(self) -> tuple[int, int]: ...


SpecT = TypeVar("SpecT", bound=Spec)


@dataclass(frozen=True, slots=True)
class Kind(Generic[SpecT]):
    """One kind of plugin.

    Attributes:
        name: In group and hook names, such as `key_fields`.
        word: In messages, such as `key field`.
        spec: The class of its specs.
        eager: Whether such plugins act without being asked for by name.
    """

    name: str
    word: str
    spec: type[SpecT]
    eager: bool = False

    @property
    def group(self) -> str:
        """The entry point group."""
        return f"tiercel.{self.name}"

    @property
    def hook(self) -> str:
        """The hook that provides specs."""
        return f"tiercel_{self.name}"


KEY_FIELDS = Kind("key_fields", "key field", KeyFieldSpec, eager=True)
INTEGRATIONS = Kind("integrations", "integration", IntegrationSpec, eager=True)
OBSERVERS = Kind("observers", "observer", ObserverSpec, eager=True)
BACKENDS = Kind("backends", "backend", BackendSpec)
DISPATCHERS = Kind("dispatchers", "dispatcher", DispatcherSpec)
CODECS = Kind("codecs", "codec", CodecSpec)

KINDS: tuple[Kind[Any], ...] = (
    BACKENDS,
    CODECS,
    DISPATCHERS,
    INTEGRATIONS,
    KEY_FIELDS,
    OBSERVERS,
)
