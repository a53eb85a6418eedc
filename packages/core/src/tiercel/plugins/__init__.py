"""Finds, checks and freezes plugins.

hookspecs    every hook, and the marker for implementations
kinds        which hook, entry point group and spec belong together
catalogue    first-party plugins by name, and what core provides itself
discovery    entry points, read without importing anything
manager      the only module that calls pluggy
provided     a spec with its origin; the SPI check
registry     names to specs; loads what is asked for
frozen       what acts unasked: observers, integrations, key fields
observing    observers as tuples of bound methods
default      the registry of the process
survey       the state of every plugin
failures     the words of every error
"""

from tiercel.contracts.version import SPI_VERSION
from tiercel.plugins.default import default_registry, set_default_registry
from tiercel.plugins.hookspecs import hookimpl, hookspec
from tiercel.plugins.observing import Observers
from tiercel.plugins.registry import Registry

__all__ = [
    "SPI_VERSION",
    "Observers",
    "Registry",
    "default_registry",
    "hookimpl",
    "hookspec",
    "set_default_registry",
]
