"""The text in which a task travels to another process: one JSON document, with a version."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import msgspec
from msgspec import Struct

from tiercel.contracts.dispatcher import TaskKind
from tiercel.errors import BadMessage

VERSION: Final = 1

MAX_LENGTH: Final = 262_144
"""Characters that a message may have: every broker takes as much."""


class Document(Struct, frozen=True, kw_only=True):
    """A task on its way.

    Attributes:
        id: Unique to the task.
        kind: What it does.
        function: The function it concerns, by name.
        cache: Name of the cache that the function uses where the task was made.
        rule: Name of the rule that made it; empty if none did.
        payload: What the work needs, in the encoding of `dispatch.values`.
        dedup: See `Task.dedup`.
        created: When it was made, in seconds since the Unix epoch.
        trace: What observers gave along.
        dispatcher: What carries it.
        queue: Where, if a queue was named.
    """

    id: str
    kind: TaskKind
    function: str
    cache: str
    payload: dict[str, Any]
    created: float
    rule: str = ""
    dedup: str = ""
    trace: dict[str, str] = msgspec.field(default_factory=dict)
    dispatcher: str = ""
    queue: str | None = None


def write(document: Document) -> str:
    """Return the text of a document, in ASCII.

    Raises:
        ValueError: It is too long.
    """
    fields = {"v": VERSION, **msgspec.structs.asdict(document)}
    text = json.dumps(fields, allow_nan=False, separators=(",", ":"))
    if len(text) > MAX_LENGTH:
        raise ValueError(
            f"{document.kind} of {document.function} makes a message of {len(text):,} characters, "
            f"but {MAX_LENGTH:,} are possible: pass less, such as an id instead of what it names"
        )
    return text


def read(text: object) -> Document:
    """Return the document that a text holds.

    Raises:
        BadMessage: It is no such text, or of another version.
    """
    if not isinstance(text, str) or len(text) > MAX_LENGTH:
        raise BadMessage(f"a message must be a text of at most {MAX_LENGTH:,} characters")
    try:
        fields = json.loads(text, parse_constant=_refuse)
        version = fields.pop("v")
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
        raise BadMessage("a message is no task of Tiercel") from error
    if version != VERSION or type(version) is not int:
        raise BadMessage(
            f"a message has version {version!r:.20}, and this process reads version {VERSION}: "
            "let workers run the same version of tiercel as those who send to them"
        )
    try:
        return msgspec.convert(fields, Document)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadMessage(f"a message lacks what a task needs: {error}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
