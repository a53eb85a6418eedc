"""Every command of the protocol as packed bytes, and what is made of its replies; no I/O here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tiercel.spi import (
    STAMP_BYTES,
    TOMBSTONE_LIFE,
    Begin,
    Begun,
    Command,
    DropKey,
    DropScopes,
    Fill,
    Index,
    Key,
    ListEntries,
    MintTags,
    Overwrite,
    Poll,
    Probe,
    Read,
    Reading,
    ReadMany,
    ReadThenBegin,
    Release,
    Renew,
    Replay,
    Scope,
    Settle,
)
from tiercel_redis import decoding, scripts
from tiercel_redis.listing import note_arguments, plan_listing, plan_probe
from tiercel_redis.lives import Lives
from tiercel_redis.names import (
    CHANNELS,
    Names,
    claim_name,
    draft_name,
    index_names,
    lease_name,
    value_name,
)
from tiercel_redis.overwriting import overwriting
from tiercel_redis.payloads import storing
from tiercel_redis.replay import plan_replay
from tiercel_redis.resp import Argument, Call, Plan, Request, milliseconds, pack

BATCH = 256
"""Entries, or scopes, in one request at most, so that none blocks a server for long."""

MESSAGES = 1000
"""Messages in one poll of a channel at most."""


def pack_read(place: str, key: Key, tags: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
    """Return the two commands of a read, PTTL first: that errs only towards a shorter life."""
    name = value_name(place + key.text)
    stamps = key.scopes + tags
    if place:
        stamps = tuple([place + stamp for stamp in stamps])
    return pack("PTTL", name), pack("MGET", name, *stamps)


class Describe(Command[Mapping[str, str]], frozen=True, gc=False):
    """Ask what the server says of itself."""


class Wire:
    """Plans for the commands of one cache."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.lives = Lives()
        self._makers: Mapping[type, Callable[[Any], Plan]] = {
            Read: self._read,
            ReadMany: self._read_many,
            Begin: self._begin,
            ReadThenBegin: self._read_then_begin,
            Fill: self._fill,
            Overwrite: lambda command: Plan([overwriting(names, command)], decoding.truth),
            Renew: self._renew,
            Release: self._release,
            Settle: self._settle,
            DropKey: self._drop_key,
            DropScopes: self._drop_scopes,
            Replay: lambda command: plan_replay(names, self.lives, command),
            MintTags: self._mint_tags,
            ListEntries: lambda command: plan_listing(self._names, command),
            Probe: lambda command: plan_probe(names, command, self._batches(command.keys)),
            Poll: self.poll,
            Describe: lambda _: Plan([Request(0, (pack("INFO"),))], decoding.described),
        }

    def plan(self, command: Command[Any]) -> Plan:
        """Return what a command sends and how to read the replies."""
        return self._makers[type(command)](command)

    def locate(self, key: Key) -> tuple[int, str, str]:
        """Return a key's hash tag, what its names begin with, and its physical name."""
        tag = self._names.tag(key.spread)
        place = self._names.place(tag)
        return tag, place, place + key.text

    def _read(self, command: Read) -> Plan:
        tag = self._names.tag(command.key.spread)
        place = self._names.place(tag)
        commands = pack_read(place, command.key, command.tags)

        def decode(replies: Sequence[Sequence[Any]]) -> Reading:
            left, values = replies[0]
            return decoding.reading(command.key, left, values, len(command.tags))

        return Plan([Request(tag, commands)], decode)

    def _read_many(self, command: ReadMany) -> Plan:
        batches = self._batches(command.keys)
        requests, wanted = [], []
        for tag, indexes in batches:
            request, names = self._read_batch(tag, [command.keys[index] for index in indexes])
            requests.append(request)
            wanted.append(names)

        def decode(replies: Sequence[Sequence[Any]]) -> list[Reading]:
            found: dict[int, Reading] = {}
            for (_, indexes), names, answer in zip(batches, wanted, replies, strict=True):
                values = dict(zip(names, decoding.an(list, answer[-1]), strict=True))
                for index, left in zip(indexes, answer, strict=False):
                    key = command.keys[index]
                    parts = [values[name] for name in (value_name(key.text), *key.scopes)]
                    found[index] = decoding.reading(key, left, parts)
            return [found[index] for index in range(len(command.keys))]

        return Plan(requests, decode)

    def _batches(self, keys: Sequence[Key]) -> list[tuple[int, list[int]]]:
        """Return for each request its tag, and which of the keys it is about."""
        groups: dict[int, list[int]] = {}
        for index, key in enumerate(keys):
            groups.setdefault(self._names.tag(key.spread), []).append(index)
        return [
            (tag, indexes[start : start + BATCH])
            for tag, indexes in groups.items()
            for start in range(0, len(indexes), BATCH)
        ]

    def _read_batch(self, tag: int, keys: Sequence[Key]) -> tuple[Request, Iterable[str]]:
        """Ask for the lives of all keys, then once for each distinct name."""
        place = self._names.place(tag)
        names = dict.fromkeys(n for key in keys for n in (value_name(key.text), *key.scopes))
        lives = [pack("PTTL", place + value_name(key.text)) for key in keys]
        return Request(tag, (*lives, pack("MGET", *(place + name for name in names)))), names

    def _begin(self, command: Begin) -> Plan:
        tag, call, note = self._begin_call(command)

        def decode(replies: Sequence[Sequence[Any]]) -> Begun:
            outcome = decoding.begun(command, replies[0][0])
            note()
            return outcome

        return Plan([Request(tag, call=call)], decode)

    def _begin_call(self, command: Begin) -> tuple[int, Call, Callable[[], None]]:
        """Return the tag, the call, and what to do when it has succeeded."""
        tag, place, name = self.locate(command.key)
        scopes = command.key.scopes
        stamps = [place + scope for scope in scopes]
        check, sent = not self.lives.cover(stamps, command.stamp_life), time.monotonic()

        def note() -> None:
            if check:
                self.lives.note(stamps, command.stamp_life, sent)

        # One set of random bytes for all attempts: a repeated request finds its own lease.
        arguments = (
            (command.token or os.urandom(STAMP_BYTES)) + os.urandom(STAMP_BYTES * len(scopes)),
            milliseconds(command.lease),
            milliseconds(command.stamp_life),
            milliseconds(command.floor) if command.floor > 0 else 0,
            int(command.force),
            command.waiter or "",
            int(check),
        )
        names = (value_name(name), lease_name(name), *stamps)
        alone, indexed = scripts.BEGIN, scripts.BEGIN_INDEXED
        claimed: tuple[Argument, ...] = ()
        claim: tuple[str, ...] = ()
        if command.claim:
            alone, indexed = scripts.BEGIN_CLAIMED, scripts.BEGIN_CLAIMED_INDEXED
            claim, claimed = (claim_name(name),), (milliseconds(command.claim),)
        if command.index is None:
            return tag, Call(alone, names + claim, arguments + claimed), note
        random = arguments[0] + os.urandom(STAMP_BYTES)
        names += self._index_places(place, command.index) + claim
        return tag, Call(indexed, names, (random, *arguments[1:], *claimed)), note

    @staticmethod
    def _index_places(place: str, index: Index) -> tuple[str, str, str]:
        """Return where the fence of an index stands, the index and its notes."""
        return place + index.fence, *index_names(place + index.name)

    def _read_then_begin(self, command: ReadThenBegin) -> Plan:
        key = command.begin.key
        tag, call, note = self._begin_call(command.begin)
        commands = pack_read(self._names.place(tag), key)

        def decode(replies: Sequence[Sequence[Any]]) -> tuple[Reading, Begun]:
            left, values, outcome = replies[0]
            both = decoding.reading(key, left, values), decoding.begun(command.begin, outcome)
            note()
            return both

        return Plan([Request(tag, commands, call)], decode)

    def _fill(self, command: Fill) -> Plan:
        key, token = command.key, command.token
        tag, place, name = self.locate(key)
        stamps = [place + scope for scope in (*key.scopes, *command.tags)]
        if self.lives.cover(stamps, command.life):
            stamps = []
        draft = draft_name(name, token)
        names = (value_name(name), lease_name(name), self._names.stream(tag), draft, *stamps)
        nonce = _nonce() if command.announce else ""
        life = milliseconds(command.life)
        arguments = (token, life, len(key.scopes), self._names.wake, key.text, nonce)
        ways = scripts.FILL, scripts.FILL_DRAFT
        noted: tuple[Argument, ...] = ()
        if command.index is not None:
            ways = scripts.FILL_INDEXED, scripts.FILL_DRAFT_INDEXED
            names += self._index_places(place, command.index)
            noted = note_arguments(command.index, command.note)
        request = storing(tag, command.payload, ways, names, arguments, noted)
        return Plan([request], decoding.truth)

    def _renew(self, command: Renew) -> Plan:
        tag, _, name = self.locate(command.key)
        claim = milliseconds(command.claim) if command.claim else 0
        arguments = (command.token, milliseconds(command.lease), claim)
        call = Call(scripts.RENEW, (lease_name(name), claim_name(name)), arguments)
        return Plan([Request(tag, call=call)], decoding.truth)

    def _settle(self, command: Settle) -> Plan:
        tag, _, name = self.locate(command.key)
        state = "d" if command.failure is None else "f"
        arguments = (command.token, milliseconds(command.life), state, command.failure or "")
        scopes = len(command.key.scopes)
        call = Call(scripts.SETTLE, (claim_name(name),), (*arguments, scopes))
        return Plan([Request(tag, call=call)], decoding.done)

    def _release(self, command: Release) -> Plan:
        key = command.key
        tag, _, name = self.locate(key)
        wakes = (self._names.wake, key.text)
        arguments = (command.token, len(key.scopes), *wakes, int(command.claim))
        call = Call(scripts.RELEASE, (lease_name(name), claim_name(name)), arguments)
        return Plan([Request(tag, call=call)], decoding.done)

    def _drop_key(self, command: DropKey) -> Plan:
        key = command.key
        tag, _, name = self.locate(key)
        names = (value_name(name), lease_name(name), self._names.stream(tag), claim_name(name))

        def arguments() -> Sequence[Any]:
            buried = (command.tombstone, milliseconds(TOMBSTONE_LIFE))
            return len(key.scopes), self._names.wake, key.text, _nonce(), *buried

        return Plan([Request(tag, call=Call(scripts.DROP_KEY, names, arguments))], decoding.truth)

    def _drop_scopes(self, command: DropScopes) -> Plan:
        by_tag: dict[int, list[str]] = {} if command.scopes else {t: [] for t in self._names.tags}
        for scope in command.scopes:
            for tag in self._tags(scope):
                by_tag.setdefault(tag, []).append(scope.name)
        requests = [
            Request(tag, call=self._drop_call(tag, names[start : start + BATCH], command))
            for tag, names in by_tag.items()
            for start in range(0, max(len(names), 1), BATCH)
        ]
        return Plan(requests, decoding.done, patient=len(requests) > 1)

    def _tags(self, scope: Scope) -> Iterable[int]:
        return self._names.tags if scope.spread is None else (self._names.tag(scope.spread),)

    def _drop_call(self, tag: int, scopes: Sequence[str], command: DropScopes) -> Call:
        place = self._names.place(tag)
        stamps = [place + scope for scope in scopes]
        names = (self._names.stream(tag), *stamps)
        self.lives.forget(stamps)
        indexes = [index for index in command.indexes if index.name in scopes]
        life = max([index.life for index in indexes], default=0.0)
        renewed = (len(indexes), milliseconds(life)) if indexes else ()

        def arguments() -> Sequence[Any]:
            random = os.urandom(STAMP_BYTES * len(scopes))
            stamp_life = milliseconds(command.life)
            return random, stamp_life, command.provenance, "\n".join(scopes), _nonce(), *renewed

        if not indexes:
            return Call(scripts.DROP_SCOPES, names, arguments)
        places = [name for each in indexes for name in index_names(place + each.name)]
        return Call(scripts.DROP_INDEXED, (*names, *places), arguments)

    def _mint_tags(self, command: MintTags) -> Plan:
        tag = self._names.tag(command.spread)
        place = self._names.place(tag)
        random = os.urandom(STAMP_BYTES * len(command.tags))
        names = [place + name for name in command.tags]
        call = Call(scripts.MINT, names, (random, milliseconds(command.stamp_life)))

        def decode(replies: Sequence[Sequence[Any]]) -> list[bytes]:
            return decoding.stamps(replies[0][0], len(names))

        return Plan([Request(tag, call=call)], decode)

    def poll(self, command: Poll, wait: float = 0.0) -> Plan:
        """Plan one look at every channel; on the first one it may wait for a message."""
        requests = []
        for tag in self._names.tags:
            stream, position = self._names.stream(tag), command.positions.get(CHANNELS[tag])
            since = f"{position.epoch}-{position.number}" if position else ""
            call = Call(scripts.POLL, (stream,), (since, MESSAGES))
            pause = str(milliseconds(wait))
            block = ("XREAD", "COUNT", "1", "BLOCK", pause, "STREAMS", stream, since)
            commands = (pack(*block),) if wait > 0 else ()
            requests.append(Request(tag, commands, call, wait))
        return Plan(requests, decoding.polled)


def _nonce() -> str:
    return os.urandom(8).hex()
