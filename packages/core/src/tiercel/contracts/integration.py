"""The contract of integrations: plugins that teach Tiercel a framework."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Integration(ABC):
    """What a framework adds; every method answers "not mine" unless overridden.

    Attributes:
        name: The framework's name.
    """

    name: str

    def current_cache_name(self) -> str | None:
        """The name of the cache that the running application uses, or None."""
        return None

    def default_url(self) -> str | None:
        """The URL of the default cache where the framework has one, or None."""
        return None

    def signing_keys(self) -> tuple[bytes, ...]:
        """Secrets for signed payloads, the one for signing first; empty where there are none."""
        return ()


@dataclass(frozen=True, slots=True)
class IntegrationSpec:
    """What a plugin returns from `tiercel_integrations`."""

    name: str
    factory: Callable[[], Integration]
    spi: tuple[int, int]


Encoder = Callable[[Any], Any]
"""Turns a value of a framework's type into one that the key encoding knows."""
