"""Everything a plugin imports.

A plugin is a module with marked functions, named by an entry point; this is a whole one:

    from tiercel.spi import SPI_VERSION, BackendSpec, hookimpl

    def make(location):
        from mine.store import MyBackend  # only now: listing plugins must stay cheap

        return MyBackend(location.url, location.timeout)

    @hookimpl
    def tiercel_backends():
        return [BackendSpec("mine", make, frozenset(), SPI_VERSION)]

with this in its `pyproject.toml`:

    [project.entry-points."tiercel.backends"]
    mine = "mine.plugin"

Names that are listed here keep to the SPI version; everything else in Tiercel may change.
"""

from tiercel.contracts.backend import (
    STAMP_BYTES,
    STAMPS_OFFSET,
    Backend,
    BackendLocation,
    BackendSpec,
    Begin,
    Begun,
    Capability,
    Clear,
    Command,
    DropKey,
    DropScopes,
    Fill,
    Found,
    Granted,
    Held,
    Key,
    Mailbox,
    Message,
    MintTags,
    Poll,
    Polled,
    Position,
    Read,
    Reading,
    ReadMany,
    ReadThenBegin,
    Release,
    Renew,
    Reply,
    Scope,
)
from tiercel.contracts.codec import Codec, CodecSpec
from tiercel.contracts.dispatcher import Dispatcher, DispatcherSpec, Task, TaskKind
from tiercel.contracts.integration import Encoder, Integration, IntegrationSpec
from tiercel.contracts.key_field import ABSENT, KeyField, KeyFieldSpec, Part, StandsFor, Target
from tiercel.contracts.key_value import KeyValueStore
from tiercel.contracts.observer import Observer, ObserverSpec
from tiercel.contracts.version import SPI_VERSION
from tiercel.errors import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    ConfigurationError,
    TiercelError,
    Undecodable,
    UnkeyableValue,
)
from tiercel.events import (
    Cause,
    Event,
    EventKind,
    MemoryHit,
    Operation,
    OperationKind,
    Status,
    Tier,
)
from tiercel.plugins.hookspecs import hookimpl

__all__ = [
    "ABSENT",
    "SPI_VERSION",
    "STAMPS_OFFSET",
    "STAMP_BYTES",
    "Backend",
    "BackendError",
    "BackendLocation",
    "BackendRefused",
    "BackendSpec",
    "BackendUnavailable",
    "Begin",
    "Begun",
    "Capability",
    "Cause",
    "Clear",
    "Codec",
    "CodecSpec",
    "Command",
    "ConfigurationError",
    "Dispatcher",
    "DispatcherSpec",
    "DropKey",
    "DropScopes",
    "Encoder",
    "Event",
    "EventKind",
    "Fill",
    "Found",
    "Granted",
    "Held",
    "Integration",
    "IntegrationSpec",
    "Key",
    "KeyField",
    "KeyFieldSpec",
    "KeyValueStore",
    "Mailbox",
    "MemoryHit",
    "Message",
    "MintTags",
    "Observer",
    "ObserverSpec",
    "Operation",
    "OperationKind",
    "Part",
    "Poll",
    "Polled",
    "Position",
    "Read",
    "ReadMany",
    "ReadThenBegin",
    "Reading",
    "Release",
    "Renew",
    "Reply",
    "Scope",
    "StandsFor",
    "Status",
    "Target",
    "Task",
    "TaskKind",
    "Tier",
    "TiercelError",
    "Undecodable",
    "UnkeyableValue",
    "hookimpl",
]
