"""What a change makes necessary, as data: merged, stored, and sent to other processes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tiercel.dispatch.values import Gone, pack, unpack
from tiercel.errors import BadMessage
from tiercel.invalidation.bound import BoundRule, RuledFunction
from tiercel.invalidation.rules import SignalType
from tiercel.invalidation.targets import Reach, Target

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A changed row, as an invalidator is told of it.

    Attributes:
        source: The label of what it is a row of.
        invalidator: Names the invalidator.
        snapshot: What `Source.rebuild` makes it of.
        signal: Whether it was saved or deleted.
        created: Whether it is new.
        fields: Names of the fields that were written; None: any.
    """

    source: str
    invalidator: str
    snapshot: Mapping[str, Any]
    signal: SignalType
    created: bool
    fields: frozenset[str] | None

    def __hash__(self) -> int:
        about = (self.source, self.invalidator, self.signal, self.created)
        try:
            return hash((*about, *self.snapshot.items()))
        except TypeError:
            return hash((*about, *self.snapshot))


@dataclass(frozen=True, slots=True)
class Work:
    """What one rule has to do after a change. Works that are equal are to be done once.

    Attributes:
        cache: Name of the function's cache.
        function: Name of the function.
        rule: Name of the rule.
        targets: What is outdated of the function.
        row: What its invalidator is to be told of, if it has one.
        origin: The rule and its function, where it was planned in this process.
    """

    cache: str
    function: str
    rule: str
    targets: tuple[Target, ...] = ()
    row: Row | None = None
    origin: tuple[BoundRule, RuledFunction] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        rule: BoundRule,
        function: RuledFunction,
        targets: tuple[Target, ...] = (),
        row: Row | None = None,
    ) -> Work:
        """Return the work of a rule of this process."""
        cache = function.subject.engine.name
        return cls(cache, function.name, rule.name, targets, row, (rule, function))

    def to_json(self) -> str:
        """Return the work as text, for another process or for later.

        Raises:
            TypeError: The row of an invalidator holds a value that a task cannot carry.
        """
        return json.dumps({"v": VERSION, **self.parts()}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Work:
        """Return the work that a text holds.

        Raises:
            BadMessage: It holds none, or one of another version.
            LookupError: The row of an invalidator holds a value that does not exist any more.
        """
        try:
            parts = json.loads(text)
            version = parts.pop("v")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BadMessage("a text is no work of a rule of Tiercel") from error
        if version != VERSION:
            raise BadMessage(f"work of a rule has version {version!r:.20}, not {VERSION}")
        return cls.from_parts(parts)

    def parts(self) -> dict[str, Any]:
        """Return what JSON carries exactly; raises as `to_json` does."""
        parts: dict[str, Any] = {
            "cache": self.cache,
            "function": self.function,
            "rule": self.rule,
            "targets": [_target_parts(each) for each in self.targets],
        }
        if self.row is not None:
            parts["row"] = _row_parts(self.row, f"{self.function}, rule {self.rule!r}")
        return parts

    @classmethod
    def from_parts(cls, parts: Any) -> Work:
        """Undo `parts`.

        Raises:
            BadMessage: It did not make these.
            Gone: The row of an invalidator holds a value that does not exist any more.
        """
        try:
            names = [parts[name] for name in ("cache", "function", "rule")]
            targets = tuple(_target(each) for each in parts["targets"])
            row = _row(parts["row"]) if "row" in parts else None
        except Gone:
            raise
        except (ValueError, TypeError, KeyError, LookupError, RecursionError) as error:
            raise BadMessage("work of a rule is incomplete or damaged") from error
        if not all(isinstance(name, str) for name in names):
            raise BadMessage("work of a rule has names that are no texts")
        cache, function, rule = names
        return cls(cache, function, rule, targets, row)


def merged(works: Iterable[Work]) -> list[Work]:
    """Return works such that nothing is done twice: one for each rule, with all its targets."""
    every = list(works)
    if len(every) == 1:
        return every
    by_rule: dict[Any, tuple[Work, dict[Target, None]]] = {}
    rows: dict[Work, None] = {}
    for work in every:
        if work.row is not None:
            rows.setdefault(work)
            continue
        identity = (work.cache, work.function, work.rule, work.origin)
        _, targets = by_rule.setdefault(identity, (work, {}))
        targets |= dict.fromkeys(work.targets)
    drops = [_with_targets(work, list(targets)) for work, targets in by_rule.values()]
    return [*drops, *rows]


def _with_targets(work: Work, targets: list[Target]) -> Work:
    whole = [target for target in targets if target.reach is Reach.FUNCTION]
    chosen = tuple(whole or targets)
    return Work(work.cache, work.function, work.rule, chosen, None, work.origin)


def _target_parts(target: Target) -> dict[str, Any]:
    parts = {"reach": str(target.reach), "text": target.text, "spread": target.spread}
    if target.arguments is not None:
        with suppress(TypeError):  # the text says by itself what is to be dropped
            parts["arguments"] = pack(dict(target.arguments), "an argument")
    return parts


def _target(parts: Any) -> Target:
    text, spread = parts["text"], parts["spread"]
    if not isinstance(text, str) or not (spread is None or isinstance(spread, str)):
        raise ValueError("not the name of a scope")
    return Target(Reach(parts["reach"]), text, spread, _arguments(parts.get("arguments")))


def _arguments(packed: Any) -> Mapping[str, Any] | None:
    if packed is None:
        return None
    try:
        arguments: Mapping[str, Any] = unpack(packed)
    except Gone:
        return None  # a row that does not exist any more; the text is known nevertheless
    return arguments


def _row_parts(row: Row, what: str) -> dict[str, Any]:
    return {
        "source": row.source,
        "invalidator": row.invalidator,
        "snapshot": pack(dict(row.snapshot), f"a row for {what}"),
        "signal": str(row.signal),
        "created": row.created,
        "fields": None if row.fields is None else sorted(row.fields),
    }


def _row(parts: Any) -> Row:
    fields = parts["fields"]
    return Row(
        source=str(parts["source"]),
        invalidator=str(parts["invalidator"]),
        snapshot=unpack(parts["snapshot"]),
        signal=SignalType(parts["signal"]),
        created=bool(parts["created"]),
        fields=None if fields is None else frozenset(fields),
    )
