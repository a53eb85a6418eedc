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

from tiercel.configuration import bind_anew
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
    MintTags,
    Poll,
    Read,
    Reading,
    ReadMany,
    ReadThenBegin,
    Release,
    Renew,
    Reply,
    Scope,
    Settle,
)
from tiercel.contracts.change import Change, ChangeKind, Source
from tiercel.contracts.claim import ClaimState, Spent
from tiercel.contracts.codec import Codec, CodecSpec
from tiercel.contracts.dispatcher import Dispatcher, DispatcherSpec, Message, Task, TaskKind
from tiercel.contracts.environ import EnvironRequest, environ_key, environ_values
from tiercel.contracts.index import Index, ListEntries, Listing, Probe
from tiercel.contracts.integration import Encoder, Finding, Integration, IntegrationSpec
from tiercel.contracts.key_field import (
    ABSENT,
    KeyField,
    KeyFieldOptions,
    KeyFieldSpec,
    Part,
    StandsFor,
    Target,
)
from tiercel.contracts.key_value import KeyValueStore
from tiercel.contracts.observer import Observer, ObserverSpec
from tiercel.contracts.overwrite import Overwrite
from tiercel.contracts.position import Announcement, Polled, Position
from tiercel.contracts.reversal import Replay, Revertible
from tiercel.contracts.sizes import PROVENANCE_BYTES, TOMBSTONE, TOMBSTONE_LIFE
from tiercel.contracts.version import SPI_VERSION
from tiercel.contracts.web import (
    Frozen,
    Headers,
    StoredResponse,
    WebFramework,
    WebRequest,
)
from tiercel.dispatch import COMMON_OPTIONS, QueueDispatcher, Retries, around_tasks
from tiercel.dispatch.options import check_number, check_text
from tiercel.dispatch.schedule import settle_schedules
from tiercel.errors import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    BadMessage,
    ConfigurationError,
    TiercelError,
    Undecodable,
    UnkeyableValue,
    UnknownFunction,
)
from tiercel.events import (
    Cause,
    Event,
    EventKind,
    MemoryHit,
    Operation,
    OperationKind,
    Provenance,
    Status,
    Tier,
)
from tiercel.invalidation import Work, acarry_out, carry_out, has_rules, plan, rules, value_at
from tiercel.keys.layout import set_key_defaults
from tiercel.keys.request_fields import RequestKeyField, RequestKeyFieldOptions
from tiercel.measures import (
    CacheFigures,
    FunctionFigures,
    cache_figures,
    function_figures,
    observe_anew,
)
from tiercel.oversight import (
    CacheState,
    FunctionState,
    cache_names,
    cache_state,
    cached_function,
    cached_functions,
    check_dispatcher,
    function_states,
    isolated_caches,
    plugin_states,
)
from tiercel.plugins.hookspecs import hookimpl
from tiercel.scope import RequestScope, current_scope, request_scope
from tiercel.worker import aperform_message, perform_message

__all__ = [
    "ABSENT",
    "COMMON_OPTIONS",
    "PROVENANCE_BYTES",
    "SPI_VERSION",
    "STAMPS_OFFSET",
    "STAMP_BYTES",
    "TOMBSTONE",
    "TOMBSTONE_LIFE",
    "Announcement",
    "Backend",
    "BackendError",
    "BackendLocation",
    "BackendRefused",
    "BackendSpec",
    "BackendUnavailable",
    "BadMessage",
    "Begin",
    "Begun",
    "CacheFigures",
    "CacheState",
    "Capability",
    "Cause",
    "Change",
    "ChangeKind",
    "ClaimState",
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
    "EnvironRequest",
    "Event",
    "EventKind",
    "Fill",
    "Finding",
    "Found",
    "Frozen",
    "FunctionFigures",
    "FunctionState",
    "Granted",
    "Headers",
    "Held",
    "Index",
    "Integration",
    "IntegrationSpec",
    "Key",
    "KeyField",
    "KeyFieldOptions",
    "KeyFieldSpec",
    "KeyValueStore",
    "ListEntries",
    "Listing",
    "Mailbox",
    "MemoryHit",
    "Message",
    "MintTags",
    "Observer",
    "ObserverSpec",
    "Operation",
    "OperationKind",
    "Overwrite",
    "Part",
    "Poll",
    "Polled",
    "Position",
    "Probe",
    "Provenance",
    "QueueDispatcher",
    "Read",
    "ReadMany",
    "ReadThenBegin",
    "Reading",
    "Release",
    "Renew",
    "Replay",
    "Reply",
    "RequestKeyField",
    "RequestKeyFieldOptions",
    "RequestScope",
    "Retries",
    "Revertible",
    "Scope",
    "Settle",
    "Source",
    "Spent",
    "StandsFor",
    "Status",
    "StoredResponse",
    "Target",
    "Task",
    "TaskKind",
    "Tier",
    "TiercelError",
    "Undecodable",
    "UnkeyableValue",
    "UnknownFunction",
    "WebFramework",
    "WebRequest",
    "Work",
    "acarry_out",
    "aperform_message",
    "around_tasks",
    "bind_anew",
    "cache_figures",
    "cache_names",
    "cache_state",
    "cached_function",
    "cached_functions",
    "carry_out",
    "check_dispatcher",
    "check_number",
    "check_text",
    "current_scope",
    "environ_key",
    "environ_values",
    "function_figures",
    "function_states",
    "has_rules",
    "hookimpl",
    "isolated_caches",
    "observe_anew",
    "perform_message",
    "plan",
    "plugin_states",
    "request_scope",
    "rules",
    "set_key_defaults",
    "settle_schedules",
    "value_at",
]
