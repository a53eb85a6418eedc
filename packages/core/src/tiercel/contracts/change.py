"""The contract of changes: what an integration reports, so that rules can drop entries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct


class ChangeKind(StrEnum):
    """What happened to a row."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class Change(Struct, frozen=True, kw_only=True):
    """A change of one row, or of more rows than can be looked at one by one.

    Attributes:
        source: What rules name as their `model`: a model class, another class, or a text.
        kind: What happened.
        old: The row before, an object or a mapping whose values do not change any more; None
            where there was none, or nobody knows.
        new: The row after, likewise; None where there is none any more, or nobody knows.
        fields: Names of the fields that were written; None: any of them may have been.
        bulk: More rows than are told apart: rules drop everything of their functions.
    """

    source: Any
    kind: ChangeKind
    old: Any = None
    new: Any = None
    fields: frozenset[str] | None = None
    bulk: bool = False


class Source(ABC):
    """What a rule listens to, as its integration knows it.

    Attributes:
        model: What the rule names.
        label: Its name, the same in every process: `shop.Product`.
    """

    model: Any
    label: str

    @abstractmethod
    def covers(self, changed: Any) -> bool:
        """Tell whether a change of `changed` is one of this source too: a proxy, a child."""

    @abstractmethod
    def check(self, path: str) -> None:
        """Check that rows have a field, or attribute, of this dotted path.

        Raises:
            ConfigurationError: They have not; says which ones there are.
        """

    def check_single(self, path: str) -> None:
        """Check that a path leads to one value, which an argument may have.

        A relation to many rows leads to none. Only `watch_fields` may name one.

        Raises:
            ConfigurationError: It does not.
        """

    def is_plain(self, path: str) -> bool:
        """Tell whether the values at a path are known to be numbers, texts and the like.

        Such a value never stands for an object that a method or function takes.
        """
        return False

    def watch(self, paths: Iterable[str]) -> None:
        """Take note that a rule will ask for old values of these paths."""

    @abstractmethod
    def value(self, row: Any, path: str) -> Any:
        """Return what a row, an `old` or `new` of a change, has at a dotted path.

        Raises:
            LookupError: It has no such value; a None on the way there is the value None.
        """

    @abstractmethod
    def snapshot(self, row: Any) -> Mapping[str, Any]:
        """Return what `rebuild` needs; of values that a task can carry to another process."""

    @abstractmethod
    def rebuild(self, snapshot: Mapping[str, Any]) -> Any:
        """Make a row again, in whichever process, whether or not it still exists."""
