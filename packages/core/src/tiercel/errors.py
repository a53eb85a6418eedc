"""Every error that Tiercel raises, in one tree.

TiercelError
├── ConfigurationError (ValueError)      a wrong option, URL or decorator argument
├── UnkeyableValue (TypeError)           an argument that cannot be part of a key
├── Undecodable (ValueError)             stored bytes that cannot be turned into a value
├── PluginError
│   ├── PluginNotInstalled (ImportError) known, but its distribution is missing
│   ├── UnknownPlugin (LookupError)      nobody provides that name
│   ├── PluginBroken (ImportError)       installed, but it cannot be imported or is invalid
│   └── PluginIncompatible               written for another SPI version
├── BackendError
│   ├── BackendUnavailable (ConnectionError)  unreachable, too slow, or refusing every command
│   └── BackendRefused                   reachable, but this command was refused (out of memory)
├── ComputationTimeout (TimeoutError)    the hard timeout passed with nothing to serve
└── AtMostOnceError
    ├── HolderDied                       the only allowed computation died with its process
    ├── ResultLost                       it was computed, but its result is gone
    └── WouldDeadlock                    waiting here could never end
"""

from __future__ import annotations


class TiercelError(Exception):
    """The root of all errors raised by Tiercel."""


class ConfigurationError(TiercelError, ValueError):
    """An option, URL or decorator argument that cannot work; raised at decoration or start-up."""


class UnkeyableValue(TiercelError, TypeError):
    """An argument whose value has no stable text, so it cannot be part of a key."""


class Undecodable(TiercelError, ValueError):
    """Stored bytes that are damaged, forged or of another version; treated as a miss."""


class PluginError(TiercelError):
    """A plugin that was asked for cannot be used."""


class PluginNotInstalled(PluginError, ImportError):
    """The plugin is known, but the distribution that provides it is not installed."""


class UnknownPlugin(PluginError, LookupError):
    """No installed or known plugin has this name."""


class PluginBroken(PluginError, ImportError):
    """The plugin is installed, but importing or validating it failed."""


class PluginIncompatible(PluginError):
    """The plugin was written for another version of the plugin interface (SPI)."""


class BackendError(TiercelError):
    """A shared tier did not do what it was asked to; never reaches a caller of a function."""


class BackendUnavailable(BackendError, ConnectionError):
    """The shared tier is unreachable or did not answer within its time limit."""


class BackendRefused(BackendError):
    """The shared tier answered, but refused this command, for example for lack of memory."""


class ComputationTimeout(TiercelError, TimeoutError):
    """The hard timeout of a computation passed and there was no entry to serve instead."""


class AtMostOnceError(TiercelError):
    """`atomic_writes="at_most_once"` forbids a second computation, so there is no value."""


class HolderDied(AtMostOnceError):
    """The process that held the only allowed computation died before it stored a result."""


class ResultLost(AtMostOnceError):
    """The computation finished, but its stored result was evicted or has expired."""


class WouldDeadlock(AtMostOnceError):
    """The caller already holds a lease, and waiting for this one could close a circle."""
