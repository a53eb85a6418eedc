"""Changes that no integration sees, reported by whoever made them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tiercel.contracts.change import Change, ChangeKind
from tiercel.errors import ConfigurationError
from tiercel.invalidation.carrying import acarry_out, carry_out
from tiercel.invalidation.planning import plan


def changed(
    source: Any,
    *,
    old: Any = None,
    new: Any = None,
    kind: ChangeKind | str | None = None,
    fields: Iterable[str] | None = None,
) -> None:
    """Report a change of a row, after it has become visible to others; rules act at once.

    Args:
        source: What rules name as their `model`.
        old: The row before: an object with attributes, or a mapping. None: there was none, or it
            is not known.
        new: The row after, likewise. Without both, anything may have changed: every function with
            a rule on this source is dropped.
        kind: `created`, `updated` or `deleted`; None: updated if `new` is given, else deleted.
        fields: Names of the fields that were written; None: any of them may have been.

    Raises:
        ConfigurationError: `kind` is none of these.
        Exception: What a rule with `raise_exception=True` failed with inline.
    """
    carry_out(plan(change_of(source, old, new, kind, fields)))


async def achanged(
    source: Any,
    *,
    old: Any = None,
    new: Any = None,
    kind: ChangeKind | str | None = None,
    fields: Iterable[str] | None = None,
) -> None:
    """The twin of `changed`."""
    await acarry_out(plan(change_of(source, old, new, kind, fields)))


def change_of(
    source: Any, old: Any, new: Any, kind: ChangeKind | str | None, fields: Iterable[str] | None
) -> Change:
    """Return a change as `changed` is told of it.

    Raises:
        ConfigurationError: The kind is no `ChangeKind`, or `fields` is a single text.
    """
    if isinstance(fields, str):
        raise ConfigurationError(f"fields={fields!r} must be several names, not a text")
    bulk = old is None and new is None
    written = None if fields is None else frozenset(fields)
    return Change(
        source=source, kind=_kind(kind, old, new), old=old, new=new, fields=written, bulk=bulk
    )


def _kind(kind: ChangeKind | str | None, old: Any, new: Any) -> ChangeKind:
    if kind is None:
        return ChangeKind.DELETED if new is None and old is not None else ChangeKind.UPDATED
    try:
        return ChangeKind(kind)
    except ValueError:
        known = ", ".join(ChangeKind)
        raise ConfigurationError(f"kind={kind!r} of a change must be one of {known}") from None
