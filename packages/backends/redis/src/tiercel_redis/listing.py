"""How entries are listed and probed: plans for the two commands that indexes are there for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiercel.spi import STAMP_BYTES, STAMPS_OFFSET, Index, Key, ListEntries, Listing, Probe
from tiercel_redis import scripts
from tiercel_redis.decoding import an, values
from tiercel_redis.names import Names, index_names, value_name
from tiercel_redis.resp import Call, Plan, Request, milliseconds, pack

ENDED = "-"
"""Stands in a cursor for a hash tag of which everything has been listed."""


def note_arguments(index: Index, note: bytes) -> tuple[bytes, int, int, int]:
    """Return what the script of a fill wants to know besides, to keep a note."""
    return (note, index.limit, milliseconds(index.longest), milliseconds(index.life))


def plan_listing(names: Names, command: ListEntries) -> Plan:
    """Plan one part of a listing, from all hash tags of which anything is left."""
    cursors = _cursors(names, command)
    open_tags = [tag for tag, cursor in enumerate(cursors) if cursor != ENDED]
    count = max(1, command.count // max(1, len(open_tags)))
    requests = [_request(names, tag, command.name, cursors[tag], count) for tag in open_tags]

    def decode(replies: Sequence[Sequence[Any]]) -> Listing:
        entries: list[tuple[str, bytes]] = []
        complete, following = True, list(cursors)
        for tag, ((cursor, found, whole),) in zip(open_tags, replies, strict=True):
            following[tag] = ENDED if cursor == b"0" else str(int(an(bytes, cursor)))
            complete = complete and bool(an(int, whole))
            texts, notes = an(list, found)[::2], found[1::2]
            pairs = zip(texts, notes, strict=True)
            entries += [(text.decode(), an(bytes, note)) for text, note in pairs]
        more = any(cursor != ENDED for cursor in following)
        return Listing(entries, ",".join(following) if more else "", complete)

    return Plan(requests, decode)


def _cursors(names: Names, command: ListEntries) -> list[str]:
    """Return where to go on in each hash tag."""
    if command.cursor:
        return command.cursor.split(",")
    wanted = names.tags if command.spread is None else (names.tag(command.spread),)
    return ["0" if tag in wanted else ENDED for tag in names.tags]


def _request(names: Names, tag: int, function: str, cursor: str, count: int) -> Request:
    stamp = names.place(tag) + function
    call = Call(scripts.LIST, (*index_names(stamp), stamp), (cursor, count))
    return Request(tag, call=call)


def plan_probe(names: Names, command: Probe, batches: Sequence[tuple[int, Sequence[int]]]) -> Plan:
    """Plan a look at the stamps that entries carry, and at those in force.

    Args:
        names: Where things stand.
        command: The keys.
        batches: For each request its hash tag, and which of the keys it is about.
    """
    wanted: list[list[str]] = []
    requests = []
    for tag, numbers in batches:
        request, scopes = _probe_batch(names, tag, [command.keys[number] for number in numbers])
        requests.append(request)
        wanted.append(scopes)

    def decode(replies: Sequence[Sequence[Any]]) -> list[bool]:
        live: dict[int, bool] = {}
        for (_, numbers), scopes, answer in zip(batches, wanted, replies, strict=True):
            stamps = dict(zip(scopes, values(answer[-1], len(scopes)), strict=True))
            for number, carried in zip(numbers, answer, strict=False):
                current = [stamps[scope] or b"" for scope in command.keys[number].scopes]
                joined = b"".join(stamp[:STAMP_BYTES] for stamp in current)
                live[number] = all(current) and an(bytes, carried) == joined
        return [live[number] for number in range(len(command.keys))]

    return Plan(requests, decode)


def _probe_batch(names: Names, tag: int, keys: Sequence[Key]) -> tuple[Request, list[str]]:
    place = names.place(tag)
    scopes = list(dict.fromkeys(scope for key in keys for scope in key.scopes))
    carried = [
        pack(
            "GETRANGE",
            place + value_name(key.text),
            str(STAMPS_OFFSET),
            str(STAMPS_OFFSET + STAMP_BYTES * len(key.scopes) - 1),
        )
        for key in keys
    ]
    return Request(tag, (*carried, pack("MGET", *(place + scope for scope in scopes)))), scopes
