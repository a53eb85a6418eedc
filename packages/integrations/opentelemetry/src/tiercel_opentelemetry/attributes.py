"""The attributes of spans: Tiercel's own names, those of `cache.*` if asked for, and Sentry's.

No convention of OpenTelemetry defines `cache.*` yet (semantic conventions 1.44; issue 1747 proposes
it), and the rules for names keep others out of its namespaces. So `cache.*` is for who opts in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from tiercel.spi import Cause, Operation, OperationKind, Provenance, Status, Tier
from tiercel_opentelemetry.options import Options

CACHE: Final = "tiercel.cache"
FUNCTION: Final = "tiercel.function"
OPERATION: Final = "tiercel.operation"
STATUS: Final = "tiercel.status"
TIER: Final = "tiercel.tier"
CAUSE: Final = "tiercel.cause"
RULE: Final = "tiercel.rule"
MEMORY_HITS: Final = "tiercel.memory_hits"
LINK: Final = "tiercel.link"

SIZE: Final = "tiercel.size"
AGE: Final = "tiercel.age"

GENERAL: Final[Mapping[str, str]] = {
    CACHE: "cache.name",
    OPERATION: "cache.operation",
    STATUS: "cache.status",
    TIER: "cache.tier",
    "tiercel.key": "cache.key",
    "tiercel.key.template": "cache.key.template",
    SIZE: "cache.item_size",
    AGE: "cache.age",
}
"""The names of `cache.*` for what has one."""

_SENTRY_OPERATIONS: Final = {
    OperationKind.READ: "cache.get",
    OperationKind.FILL: "cache.put",
    OperationKind.DROP: "cache.remove",
}
_ABOUT: Final = {
    "rule": RULE,
    "source": "tiercel.source",
    "dispatcher": "tiercel.dispatcher",
    "id": "tiercel.task.id",
    "kind": "tiercel.task.kind",
    "queue": "tiercel.queue",
    "calls": "tiercel.calls",
}

Attributes = dict[str, Any]


class Naming:
    """Names what is known of an operation, as the options say."""

    def __init__(self, options: Options) -> None:
        self._keys: Callable[[str], str | None] | None = options.keys
        self._sentry = options.sentry
        self._own = options.names != "cache"
        self._general = options.names != "tiercel"
        self.span_name = lru_cache(4096)(_span_name)
        self._known = lru_cache(4096)(self._make_known)

    def attributes(self, operation: Operation) -> Attributes:
        """Return what is known of an operation that is over."""
        found = self._known(
            operation.kind,
            operation.cache,
            operation.function,
            operation.template,
            operation.status,
            operation.tier,
            operation.cause,
        ).copy()
        if operation.size:
            found[SIZE] = operation.size
        if operation.age is not None:
            found[AGE] = operation.age
        if operation.dropped_by is not None and operation.kind is not OperationKind.DROP:
            found |= dropped_by(operation.dropped_by)
        if operation.attributes:
            found |= _about(operation.attributes)
        if self._keys is not None and operation.key:
            found |= self._key(operation.key)
        if self._general:
            found = self._generalized(found, operation)
        return found | self._for_sentry(operation) if self._sentry else found

    def _key(self, key: str) -> Attributes:
        shown = self._keys(key) if self._keys is not None else None
        return {} if shown is None else {"tiercel.key": shown}

    def _make_known(
        self,
        kind: OperationKind,
        cache: str,
        function: str,
        template: str,
        status: Status | None,
        tier: Tier | None,
        cause: Cause | None,
    ) -> Attributes:
        """Return what all operations of a kind and function share that end the same way."""
        said = {
            OPERATION: kind.value,
            CACHE: cache,
            FUNCTION: function,
            "tiercel.key.template": template,
            STATUS: status and status.value,
            TIER: tier and tier.value,
            CAUSE: cause and cause.value,
            "sentry.op": self._sentry and _SENTRY_OPERATIONS.get(kind),
        }
        return {name: value for name, value in said.items() if value}

    def _generalized(self, found: Attributes, operation: Operation) -> Attributes:
        """Return the same under the names of `cache.*`, or under both."""
        general = {GENERAL[name]: value for name, value in found.items() if name in GENERAL}
        if operation.kind is OperationKind.READ and operation.status is not None:
            general["cache.hit"] = operation.status is Status.HIT
        own = {name: value for name, value in found.items() if self._own or name not in GENERAL}
        return own | general

    def _for_sentry(self, operation: Operation) -> Attributes:
        """Return what Sentry's view of caches reads (`cache.hit`, `cache.key`, sizes)."""
        if operation.kind not in _SENTRY_OPERATIONS:
            return {}
        shown = self._keys(operation.key) if self._keys and operation.key else operation.template
        found: Attributes = {"cache.key": [shown]} if shown else {}
        if operation.kind is OperationKind.READ:
            found["cache.hit"] = operation.status is Status.HIT
        if operation.size:
            found["cache.item_size"] = operation.size
        if operation.kind is OperationKind.FILL:
            found["cache.write"] = operation.error is None
        return found


def dropped_by(who: Provenance) -> Attributes:
    """Return who dropped something, as far as that is known."""
    known = {"tiercel.dropped_by.rule": who.rule, "tiercel.dropped_by.source": who.source}
    found: Attributes = {name: value for name, value in known.items() if value}
    found["tiercel.dropped_by.time"] = who.time
    return found


def _about(told: Mapping[str, Any]) -> Attributes:
    """Return what the core tells of an operation beyond what all have in common.

    Not the names of scopes, which hold arguments.
    """
    found = {name: told[key] for key, name in _ABOUT.items() if told.get(key)}
    if "scopes" in told:
        found["tiercel.scope.count"] = len(told["scopes"])
    return found


def _span_name(kind: OperationKind, what: str) -> str:
    return f"tiercel.{kind.value} {what}"
