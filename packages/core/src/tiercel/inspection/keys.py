"""What the text of a key says: whose entry it is, and on which stamps it depends."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tiercel.contracts.backend import Key
from tiercel.errors import TiercelError
from tiercel.inspection.functions import AnyFunction, known_functions
from tiercel.keys.plan import KeyPlan

_DIGEST = "#"


class UnknownKey(TiercelError, LookupError):
    """No function of this process has such keys."""


class Parsed(Struct, frozen=True):
    """A key, taken apart.

    Attributes:
        function: Whose it is.
        key: As far as its text tells it: tags are not among its scopes.
        complete: Whether all of its partitions could be told.
    """

    function: AnyFunction
    key: Key
    complete: bool


def parse_key(text: str) -> Parsed:
    """Find out what the text of a key says.

    Raises:
        UnknownKey: It begins like the keys of no function of this process.
    """
    for function in known_functions():
        try:
            _ = function.subject  # the prefix of its keys is that of its cache
        except TiercelError:
            continue
        if text.startswith(f"{function.plan.layout.head}:") or text == function.plan.layout.head:
            return _parsed(function, text)
    raise UnknownKey(
        f"no cached function of this process has keys like {text!r}: name the application that "
        "has it with --app, and see `tiercel functions` for the shapes of keys"
    )


def _parsed(function: AnyFunction, text: str) -> Parsed:
    plan = function.plan
    scope = plan.scope().name
    segments = text[len(plan.layout.head) + 1 :].split(":")
    partitions = segments[:-1]
    if not plan.partition:
        return Parsed(function, Key(text, (scope,), text), complete=True)
    texts = _levels(plan, partitions)
    if texts is None:
        return Parsed(function, Key(text, (scope,), partitions[0]), complete=False)
    scopes = (scope, *(plan.layout.scope(each) for each in texts))
    return Parsed(function, Key(text, scopes, texts[0]), complete=True)


def _levels(plan: KeyPlan, segments: Sequence[str]) -> list[str] | None:
    """Return the text of each nested partition; None where a digest hides the outer ones."""
    count = len(plan.partition)
    if len(segments) == count:
        return [plan.layout.partition(segments[:depth]) for depth in range(1, count + 1)]
    return list(segments) if count == 1 and segments[0].startswith(_DIGEST) else None
