"""Every command of the protocol as packed bytes, and every reply as data again; no I/O here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from tiercel.spi import (
    STAMP_BYTES,
    Begin,
    Begun,
    Command,
    DropKey,
    DropScopes,
    Fill,
    Found,
    Granted,
    Held,
    Key,
    Message,
    MintTags,
    Poll,
    Polled,
    Position,
    Read,
    Reading,
    ReadMany,
    ReadThenBegin,
    Release,
    Renew,
    Scope,
)
from tiercel_redis import scripts
from tiercel_redis.lives import Lives
from tiercel_redis.names import CHANNELS, Names, draft_name, lease_name, value_name
from tiercel_redis.resp import Call, Plan, Request, milliseconds, pack

SMALL = 2048
"""Bytes up to which a payload travels as the argument of the fill script."""

DRAFT_LIFE = 5000
"""Milliseconds after which a payload goes away whose fill never ran."""

BATCH = 256
"""Entries, or scopes, in one request at most, so that none blocks a server for long."""

MESSAGES = 1000
"""Messages in one poll of a channel at most."""


def pack_glance(key: Key, tags: tuple[str, ...] = ()) -> bytes:
    """Return the command of a read that does not ask for the remaining life."""
    return pack("MGET", value_name(key.text), *key.scopes, *tags)


def pack_read(place: str, key: Key, tags: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
    """Return the two commands of a read, PTTL first: that errs only towards a shorter life."""
    name = value_name(place + key.text)
    stamps = key.scopes + tags
    if place:
        stamps = tuple([place + stamp for stamp in stamps])
    return pack("PTTL", name), pack("MGET", name, *stamps)


def reading(key: Key, left: float, values: Sequence[bytes | None]) -> Reading:
    """Return what a read found; an entry that is about to go counts as gone."""
    end = 1 + len(key.scopes)
    if left <= 0:
        return Reading(None, 0.0, values[1:end], values[end:])
    return Reading(values[0], left / 1000 if values[0] else 0.0, values[1:end], values[end:])


def begun(reply: Sequence[Any]) -> Begun:
    """Return the outcome of a `Begin`."""
    if reply[0] == b"granted":
        return Granted(reply[1], reply[3:])
    if reply[0] == b"held":
        return Held(reply[1], reply[3:], max(0.0, reply[2] / 1000))
    return Found()


class Describe(Command[Mapping[str, str]], frozen=True, gc=False):
    """Ask what the server says of itself."""


class Wire:
    """Plans for the commands of one cache."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._lives = Lives()
        self._makers: Mapping[type, Callable[[Any], Plan]] = {
            Read: self._read,
            ReadMany: self._read_many,
            Begin: self._begin,
            ReadThenBegin: self._read_then_begin,
            Fill: self._fill,
            Renew: self._renew,
            Release: self._release,
            DropKey: self._drop_key,
            DropScopes: self._drop_scopes,
            MintTags: self._mint_tags,
            Poll: self.poll,
            Describe: lambda _: Plan([Request(0, (pack("INFO"),))], _described),
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
        return Plan([Request(tag, commands)], lambda replies: reading(command.key, *replies[0]))

    def _read_many(self, command: ReadMany) -> Plan:
        groups: dict[int, list[int]] = {}
        for index, key in enumerate(command.keys):
            groups.setdefault(self._names.tag(key.spread), []).append(index)
        batches = [
            (tag, indexes[start : start + BATCH])
            for tag, indexes in groups.items()
            for start in range(0, len(indexes), BATCH)
        ]
        requests, wanted = [], []
        for tag, indexes in batches:
            request, names = self._read_batch(tag, [command.keys[index] for index in indexes])
            requests.append(request)
            wanted.append(names)

        def decode(replies: Sequence[Sequence[Any]]) -> list[Reading]:
            found: dict[int, Reading] = {}
            for (_, indexes), names, answer in zip(batches, wanted, replies, strict=True):
                values = dict(zip(names, answer[-1], strict=True))
                for index, left in zip(indexes, answer, strict=False):
                    key = command.keys[index]
                    parts = [values[name] for name in (value_name(key.text), *key.scopes)]
                    found[index] = reading(key, left, parts)
            return [found[index] for index in range(len(command.keys))]

        return Plan(requests, decode)

    def _read_batch(self, tag: int, keys: Sequence[Key]) -> tuple[Request, Iterable[str]]:
        """Ask for the lives of all keys, then once for each distinct name."""
        place = self._names.place(tag)
        names = dict.fromkeys(n for key in keys for n in (value_name(key.text), *key.scopes))
        lives = [pack("PTTL", place + value_name(key.text)) for key in keys]
        return Request(tag, (*lives, pack("MGET", *(place + name for name in names)))), names

    def _begin(self, command: Begin) -> Plan:
        tag, call, note = self._begin_call(command)

        def decode(replies: Sequence[Sequence[Any]]) -> Begun:
            note()
            return begun(replies[0][0])

        return Plan([Request(tag, call=call)], decode)

    def _begin_call(self, command: Begin) -> tuple[int, Call, Callable[[], None]]:
        """Return the tag, the call, and what to do when it has succeeded."""
        tag, place, name = self.locate(command.key)
        scopes = command.key.scopes
        stamps = [place + scope for scope in scopes]
        check, sent = not self._lives.cover(stamps, command.stamp_life), time.monotonic()

        def note() -> None:
            if check:
                self._lives.note(stamps, command.stamp_life, sent)

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
        return tag, Call(scripts.BEGIN, names, arguments), note

    def _read_then_begin(self, command: ReadThenBegin) -> Plan:
        key = command.begin.key
        tag, call, note = self._begin_call(command.begin)
        commands = pack_read(self._names.place(tag), key)

        def decode(replies: Sequence[Sequence[Any]]) -> tuple[Reading, Begun]:
            note()
            left, values, outcome = replies[0]
            return reading(key, left, values), begun(outcome)

        return Plan([Request(tag, commands, call)], decode)

    def _fill(self, command: Fill) -> Plan:
        key, token = command.key, command.token
        tag, place, name = self.locate(key)
        stamps = [place + scope for scope in (*key.scopes, *command.tags)]
        if self._lives.cover(stamps, command.life):
            stamps = []
        draft = draft_name(name, token)
        names = (value_name(name), lease_name(name), self._names.stream(tag), draft, *stamps)
        nonce = _nonce() if command.announce else ""
        life = milliseconds(command.life)
        arguments = (token, life, len(key.scopes), self._names.wake, key.text, nonce)
        if len(command.payload) <= SMALL:
            call = Call(scripts.FILL, names, (*arguments, command.payload))
            return Plan([Request(tag, call=call)], _truth)
        upload = pack("SET", draft, command.payload, "PX", DRAFT_LIFE)
        call = Call(scripts.FILL_DRAFT, names, arguments)
        return Plan([Request(tag, (upload,), call)], _truth)

    def _renew(self, command: Renew) -> Plan:
        tag, _, name = self.locate(command.key)
        arguments = (command.token, milliseconds(command.lease))
        return Plan(
            [Request(tag, call=Call(scripts.RENEW, (lease_name(name),), arguments))], _truth
        )

    def _release(self, command: Release) -> Plan:
        key = command.key
        tag, _, name = self.locate(key)
        arguments = (command.token, len(key.scopes), self._names.wake, key.text)
        call = Call(scripts.RELEASE, (lease_name(name),), arguments)
        return Plan([Request(tag, call=call)], _nothing)

    def _drop_key(self, command: DropKey) -> Plan:
        key = command.key
        tag, _, name = self.locate(key)
        names = (value_name(name), lease_name(name), self._names.stream(tag))

        def arguments() -> Sequence[Any]:
            return len(key.scopes), self._names.wake, key.text, _nonce()

        return Plan([Request(tag, call=Call(scripts.DROP_KEY, names, arguments))], _truth)

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
        return Plan(requests, _nothing, patient=len(requests) > 1)

    def _tags(self, scope: Scope) -> Iterable[int]:
        return self._names.tags if scope.spread is None else (self._names.tag(scope.spread),)

    def _drop_call(self, tag: int, scopes: Sequence[str], command: DropScopes) -> Call:
        place = self._names.place(tag)
        stamps = [place + scope for scope in scopes]
        names = (self._names.stream(tag), *stamps)
        self._lives.forget(stamps)

        def arguments() -> Sequence[Any]:
            random = os.urandom(STAMP_BYTES * len(scopes))
            life = milliseconds(command.life)
            return random, life, command.provenance, "\n".join(scopes), _nonce()

        return Call(scripts.DROP_SCOPES, names, arguments)

    def _mint_tags(self, command: MintTags) -> Plan:
        tag = self._names.tag(command.spread)
        place = self._names.place(tag)
        random = os.urandom(STAMP_BYTES * len(command.tags))
        names = [place + name for name in command.tags]
        call = Call(scripts.MINT, names, (random, milliseconds(command.stamp_life)))
        return Plan([Request(tag, call=call)], lambda replies: list(replies[0][0]))

    def poll(self, command: Poll, wait: float = 0.0) -> Plan:
        """Plan one look at every channel; on the first one it may wait for a message."""
        requests = []
        for tag in self._names.tags:
            stream, position = self._names.stream(tag), command.positions.get(CHANNELS[tag])
            since = f"{position.epoch}-{position.number}" if position else ""
            call = Call(scripts.POLL, (stream,), (since, MESSAGES))
            block = ("XREAD", "COUNT", 1, "BLOCK", milliseconds(wait), "STREAMS", stream, since)
            commands = (pack(*block),) if wait > 0 else ()
            requests.append(Request(tag, commands, call, wait))
        return Plan(requests, _polled)


def _truth(replies: Sequence[Sequence[Any]]) -> bool:
    return bool(replies[0][-1])


def _nothing(replies: Sequence[Sequence[Any]]) -> None:
    return None


def _described(replies: Sequence[Sequence[Any]]) -> dict[str, str]:
    text = replies[0][0]
    lines = (text.decode() if isinstance(text, bytes) else text).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _polled(replies: Sequence[Sequence[Any]]) -> dict[str, Polled]:
    polled = {}
    for channel, answer in zip(CHANNELS, replies, strict=False):
        messages, last = answer[-1]
        found = [_message(entry) for entry in messages]
        polled[channel] = Polled(found, _message(last[0]).position if last else None)
    return polled


def _message(entry: Sequence[Any]) -> Message:
    identity, fields = entry
    epoch, _, number = identity.decode().partition("-")
    nonce, previous, names = (cast("bytes", field).decode() for field in fields[1::2])
    return Message(Position(int(epoch), int(number), nonce), previous, tuple(names.split("\n")))


def _nonce() -> str:
    return os.urandom(8).hex()
