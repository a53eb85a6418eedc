"""A spec together with where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tiercel.contracts.version import SPI_VERSION
from tiercel.plugins import failures
from tiercel.plugins.kinds import Spec


class Origin(StrEnum):
    """How a plugin came to be known."""

    BUILT_IN = "built in"
    INSTALLED = "installed"
    REGISTERED = "registered"


@dataclass(frozen=True, slots=True)
class Provided:
    """A spec, and who provides it.

    Attributes:
        spec: The spec, of the class that belongs to its kind.
        origin: How it came to be known.
        distribution: The distribution that brings it, or what code registered.
        version: The distribution's version, where there is one.
        plugin: What code registered, if it did.
    """

    spec: Any
    origin: Origin
    distribution: str
    version: str
    plugin: object | None = None

    @property
    def owner(self) -> str:
        """Who provides it, for messages."""
        return f"{self.distribution} {self.version}".rstrip()


def check_spi(spec: Spec, distribution: str, version: str) -> None:
    """Refuse a spec written for another major or a later minor SPI version.

    Raises:
        PluginIncompatible: Names both versions and what to do.
    """
    major, minor = SPI_VERSION
    if spec.spi[0] != major or spec.spi[1] > minor:
        raise failures.incompatible(distribution, version, spec.spi)
