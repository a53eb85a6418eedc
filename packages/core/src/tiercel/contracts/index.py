"""The index of a function: what a backend with `Capability.INDEX` keeps so that entries are listed.

Most functions have none: entries are dropped without being found. Where entries have to be found,
each fill leaves a note in the index of its function. The index may fall behind, never ahead: what
it lists may be gone or dropped already, and it says whether anything may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tiercel.contracts.backend import Command, Key


class Index(Struct, frozen=True, gc=False):
    """The index that a function keeps of its entries.

    Attributes:
        name: The name of the function's stamp, which stands first among the scopes of its keys.
        fence: The name of one more stamp. A lease stands for it too, besides the scopes of its
            key: once it has changed, whoever computes may not store. No entry carries it.
        limit: Notes that are kept at least, on each part of a distributed backend. Beyond it,
            those of the entries that end first may go.
        longest: Seconds that an entry of the function lives at most.
        life: Seconds that the index itself is kept at least, from the last note on.
    """

    name: str
    fence: str
    limit: int
    longest: float
    life: float


class Listing(Struct, frozen=True, gc=False):
    """A part of what an index lists.

    Attributes:
        entries: The text of a key and the note of its last fill, each. Some may have ended or
            been dropped, and one may come twice; one that stays throughout is not left out.
        cursor: What `ListEntries.cursor` must be to go on; empty at the end.
        complete: Whether nothing can be missing. True only if every entry of the function that
            could be read has a note here, so far as this part of the index is concerned.
    """

    entries: Sequence[tuple[str, bytes]]
    cursor: str
    complete: bool


class ListEntries(Command[Listing], frozen=True, gc=False):
    """List the entries of a function; needs `Capability.INDEX`.

    A function without a stamp has no entries that could be read: its list is empty and complete.

    Attributes:
        name: `Index.name`.
        spread: Only entries with this `Key.spread` are wanted; others may be listed nevertheless.
        cursor: Where to go on; empty at first.
        count: How many entries are wanted at a time, about.
    """

    name: str
    spread: str | None = None
    cursor: str = ""
    count: int = 1000


class Probe(Command[list[bool]], frozen=True, gc=False):
    """Tell which entries could be served now: they are there and carry the current stamps.

    Moves no payloads. Replies stand in the order of `keys`. Needs `Capability.INDEX`.
    """

    keys: Sequence[Key]
