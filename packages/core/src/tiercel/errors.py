"""Every error that Tiercel raises, in one tree.

TiercelError
├── ConfigurationError (ValueError)      a wrong option, URL or decorator argument
│   └── ViewCachingError                 a target of a cached view that cannot be resolved
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
├── TaskError
│   ├── BadMessage (ValueError)          a message that is no task, or of another version
│   └── UnknownFunction (LookupError)    a task for a function that this process does not have
├── ComputationTimeout (TimeoutError)    the hard timeout passed with nothing to serve
├── AsyncValueError                      a value of `async_compute` is not there
│   ├── AsyncValueBeingBuiltException    it is being built in the background: ask again later
│   └── AsyncValueFailedToBeBuiltException  its build failed a moment ago
└── AtMostOnceError
    ├── HolderDied                       the only allowed computation died with its process
    ├── HolderFailed                     the only allowed computation raised, in another process
    ├── HolderBusy (TimeoutError)        the only allowed computation takes longer than `wait`
    ├── ResultLost                       it was computed, but its result is gone
    └── WouldDeadlock                    waiting here could never end
SkipViewCaching                          raised by your code: do not cache this request
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class TiercelError(Exception):
    """The root of all errors raised by Tiercel."""


class ConfigurationError(TiercelError, ValueError):
    """An option, URL or decorator argument that cannot work; raised at decoration or start-up."""


class ViewCachingError(ConfigurationError):
    """A target of a cached view that cannot work, or that failed for a request."""


class ViewCachingWarning(UserWarning):
    """A cached view returned something that is safer not shared between requests."""


class SkipViewCaching(Exception):
    """Raised by a target or a namespace: nothing is read or stored for this request."""


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
    """A shared tier did not do what it was asked; reaches callers only under at_most_once."""


class BackendUnavailable(BackendError, ConnectionError):
    """The shared tier is unreachable or did not answer within its time limit."""


class BackendRefused(BackendError):
    """The shared tier answered, but refused this command, for example for lack of memory."""


class TaskError(TiercelError):
    """A worker cannot perform what a message asks for; what the work raises is not among these."""


class BadMessage(TaskError, ValueError):
    """A message that is no task of Tiercel, or of another version; another try would not help."""


class UnknownFunction(TaskError, LookupError):
    """A task for a function that this worker does not have, perhaps not yet or not any more."""


class ComputationTimeout(TiercelError, TimeoutError):
    """The hard timeout of a computation passed and there was no entry to serve instead."""


class AsyncValueError(TiercelError):
    """A value that is built in the background is not there yet.

    Attributes:
        since: When its build was asked for; None if that is not known here.
        task_id: The id of the task that builds it; None likewise.
    """

    def __init__(
        self, message: str = "", *, since: datetime | None = None, task_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.since = since
        self.task_id = task_id


class AsyncValueBeingBuiltException(AsyncValueError):
    """The value is being built in the background; a later call will find it."""


class AsyncValueFailedToBeBuiltException(AsyncValueError):
    """The last build failed; `__cause__` is why, if it ran in this process.

    Attributes:
        cause_type: Name of the type of the exception that was raised; empty if none was.
        cause_text: What it said.
    """

    def __init__(
        self,
        message: str = "",
        *,
        since: datetime | None = None,
        task_id: str | None = None,
        cause_type: str = "",
        cause_text: str = "",
    ) -> None:
        super().__init__(message, since=since, task_id=task_id)
        self.cause_type = cause_type
        self.cause_text = cause_text


class AtMostOnceError(TiercelError):
    """`atomic_writes="at_most_once"` forbids a second computation, so there is no value."""


class HolderDied(AtMostOnceError):
    """The process that held the only allowed computation died before it stored a result."""


class HolderFailed(AtMostOnceError):
    """The only allowed computation raised; its own caller has got what it raised."""


class HolderBusy(AtMostOnceError, TimeoutError):
    """The only allowed computation did not end for as long as this caller waits."""


class ResultLost(AtMostOnceError):
    """The computation finished, but its stored result was evicted or has expired."""


class WouldDeadlock(AtMostOnceError):
    """The caller already holds a lease, and waiting for this one could close a circle."""
