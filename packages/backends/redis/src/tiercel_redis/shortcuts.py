"""The short way for the commands that callers wait for, on one server with nothing unusual.

A hit, and a miss that nobody else is at, are packed and read here without a plan, by scripts that
do no more than that. Whatever needs more, and whatever fails, goes the long way: over
`tiercel_redis.wire` and the conductor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import Any, Final

from tiercel.spi import (
    STAMP_BYTES,
    STAMPS_OFFSET,
    Begin,
    Command,
    Fill,
    Found,
    Granted,
    Held,
    Index,
    Key,
    Overwrite,
    Read,
    Reading,
    ReadThenBegin,
)
from tiercel_redis.decoding import are_stamps, reading
from tiercel_redis.listing import note_arguments
from tiercel_redis.lives import Lives
from tiercel_redis.names import Names, draft_name, index_names, lease_name, value_name
from tiercel_redis.overwriting import OVERWRITE, OVERWRITE_DRAFT, overwriting
from tiercel_redis.payloads import DRAFT_LIFE, SMALL
from tiercel_redis.resp import bulk, milliseconds, pack_part
from tiercel_redis.scripts import CLOCK, NOTE, Script, script

LONG_WAY: Final[Any] = object()
"""Stands for a reply that only the long way brings."""

_UNFENCED = """
local sub, stamps, tail = string.sub, call('MGET', unpack(KEYS, 2)), '\\n'
"""

_FENCED = """
local sub, stamps = string.sub, call('MGET', unpack(KEYS, 2))
local fence = table.remove(stamps)
if not fence then return 0 end
local tail = '\\n!' .. sub(fence, 1, 16) .. '\\n'
"""

# KEYS value, lease, stamps
# ARGV token, lease, where the stamps end in a value, how long one may be to be part of the reply
# Replies 0, having done nothing, where stamps are missing or a lease is in the way; where it is
# granted and nothing was stored, the stamps alone.
_GRANT = """
local held, generation = stamps[1], ''
for at = 2, #stamps do
  local stamp = stamps[at]
  if not stamp or #stamp < 16 then return 0 end
  generation = generation .. sub(stamp, 1, 16)
end
local carried = redis.pcall('GETRANGE', KEYS[1], '48', ARGV[3])
if carried == generation then
  local left, value = call('PTTL', KEYS[1]), false
  if call('STRLEN', KEYS[1]) <= tonumber(ARGV[4]) then value = call('GET', KEYS[1]) end
  if left > 0 then return {'found', value, left, unpack(stamps, 2)} end
end
if held then
  local holder = sub(held, 1, 16)
  if holder == ARGV[1] or sub(held, 17, 16 + #generation + #tail) ~= generation .. tail then
    return 0
  end
  return {'held', holder, call('PTTL', KEYS[2]), unpack(stamps, 2)}
end
call('SET', KEYS[2], ARGV[1] .. generation .. tail, 'PX', ARGV[2])
if carried == '' then return generation end
return {'granted', true, 0, unpack(stamps, 2)}
"""

_BEGIN = script(_UNFENCED, _GRANT)

# KEYS value, lease, stamps, fence
_BEGIN_INDEXED = script(_FENCED, _GRANT)

# KEYS value, lease; ARGV the lease of a holder for whom nobody waits, life, payload
# Replies 0, having done nothing, where the lease is another.
_FILL = script("""
if call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local stored = redis.pcall('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
call('DEL', KEYS[2])
return stored.err and stored or 1
""")

# KEYS value, lease, draft; ARGV as for _FILL, but the payload, which the draft holds
_FILL_DRAFT = script("""
if call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local renamed = redis.pcall('RENAME', KEYS[3], KEYS[1])
if not renamed.err then call('PEXPIRE', KEYS[1], ARGV[2]) end
call('DEL', KEYS[2])
return renamed.err and renamed or 1
""")

# KEYS value, lease, fence, index, notes
# ARGV the lease of a holder for whom nobody waits, without the fence; life, payload, nothing, text;
# note, limit, longest life, life of the index
_FILL_INDEXED = script(
    CLOCK,
    """
local fence, index, notes = call('GET', KEYS[3]), KEYS[4], KEYS[5]
if not fence or call('GET', KEYS[2]) ~= ARGV[1] .. '!' .. string.sub(fence, 1, 16) .. '\\n' then
  return 0
end
local stored = redis.pcall('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
call('DEL', KEYS[2])
if stored.err then return stored end
""",
    NOTE,
)

SCRIPTS: Final = (
    *(_BEGIN, _FILL, _FILL_DRAFT, _BEGIN_INDEXED, _FILL_INDEXED),
    *(OVERWRITE, OVERWRITE_DRAFT),
)
"""What a server must know."""

# What comes again and again is packed once: to join parts takes a fifth of the time that packing
# takes.
_VALUE, _LEASE = value_name("").encode(), lease_name("").encode()
_PTTL = b"*2\r\n$4\r\nPTTL\r\n$%d\r\n"
_MGET = b"*%d\r\n$4\r\nMGET\r\n$%d\r\n"
_AFTER_NAME = _VALUE + b"\r\n"
_EVALSHA = b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n%b$%d\r\n"
_AFTER_VALUE = _AFTER_NAME + b"$%d\r\n"
_AFTER_LEASE = _LEASE + b"\r\n"
_NOTED = b"%b$%d\r\n%b\r\n$0\r\n\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n%b"

Packed = tuple[bytes, int]
"""What to send, and how many replies come back."""


Shortcut = tuple[Callable[[Any], Packed | None], Callable[[Any, Sequence[Any]], Any]]
"""Makes what to send of a command, if the short way will do; and its reply of those that come."""


class Shortcuts:
    """The short ways of one cache, by kind of command."""

    def __init__(self, names: Names, lives: Lives) -> None:
        self._names = names
        self._lives = lives
        self.of: Mapping[type[Command[Any]], Shortcut] = {
            Read: (_pack_read, _read),
            ReadThenBegin: (self._pack_read_then_begin, _read_then_begin),
            Begin: (self._pack_begin, _begin),
            Fill: (self._pack_fill, _fill),
            Overwrite: (self._pack_overwrite, _overwrite),
        }

    def _pack_read_then_begin(self, command: ReadThenBegin) -> Packed | None:
        return self._pack_begin(command.begin, SMALL)

    def _pack_begin(self, begin: Begin, limit: int = -1) -> Packed | None:
        key, token, index = begin.key, begin.token, begin.index
        unusual = begin.force or begin.floor or begin.claim or begin.waiter is not None
        if token is None or unusual or not self._lives.cover(key.scopes, begin.stamp_life):
            return None
        names = key.scopes if index is None else (*key.scopes, index.fence)
        chosen = _BEGIN if index is None else _BEGIN_INDEXED
        end = STAMPS_OFFSET + STAMP_BYTES * len(key.scopes) - 1
        rest = _numbers(begin.lease, end, limit)
        return _run(chosen, key, names, 4, token, rest), 1

    def _pack_fill(self, fill: Fill) -> Packed | None:
        payload, scopes = fill.payload, fill.key.scopes
        if fill.announce or fill.tags or not self._lives.cover(scopes, fill.life):
            return None
        size, end = len(payload), STAMPS_OFFSET + STAMP_BYTES * len(scopes)
        lease = fill.token + payload[STAMPS_OFFSET:end] + b"\n"
        if size > SMALL:
            return None if fill.index is not None else (_pack_draft(fill, lease), 2)
        if fill.index is not None:
            return _pack_noted(fill, fill.index, lease), 1
        run = _run(_FILL, fill.key, (), 3, lease, _numbers(fill.life))
        return b"%b$%d\r\n%b\r\n" % (run, size, payload), 1

    def _pack_overwrite(self, command: Overwrite) -> Packed:
        request = overwriting(self._names, command)
        return request.pack(), request.replies


def _run(
    chosen: Script, key: Key, names: tuple[str, ...], arguments: int, first: bytes, rest: bytes
) -> bytes:
    """Pack one run of a script, all of it or all but its last arguments.

    Args:
        chosen: The script.
        key: Stands first among its keys, with the entry and the lease.
        names: The other keys.
        arguments: How many arguments it has.
        first: The first of them.
        rest: Those behind it, as `_numbers` packs them.
    """
    name = key.text.encode()
    frame = _frame(chosen.digest, len(name), len(names), arguments, len(first))
    start, after_value, before_first = frame
    others = pack_part(*names)
    return b"".join(
        (start, name, after_value, name, _AFTER_LEASE, others, before_first, first, rest)
    )


@lru_cache(maxsize=4096)
def _frame(
    digest: bytes, size: int, names: int, arguments: int, first: int
) -> tuple[bytes, bytes, bytes]:
    """Return what `_run` packs around the bytes of its key, its names and its first argument."""
    start = (5 + names + arguments, digest, pack_part(2 + names), size + len(_VALUE))
    return _EVALSHA % start, _AFTER_VALUE % (size + len(_LEASE)), b"$%d\r\n" % first


@lru_cache(maxsize=1024)
def _numbers(seconds: float, *numbers: int) -> bytes:
    """Pack a time, which scripts want in milliseconds, and what follows it."""
    return b"\r\n" + pack_part(milliseconds(seconds), *numbers)


def _pack_draft(fill: Fill, lease: bytes) -> bytes:
    draft = draft_name(fill.key.text, fill.token)
    upload = b"*5\r\n$3\r\nSET\r\n%b$%d\r\n" % (bulk(draft.encode()), len(fill.payload))
    run = _run(_FILL_DRAFT, fill.key, (draft,), 2, lease, _numbers(fill.life))
    return b"".join([upload, fill.payload, b"\r\n", pack_part("PX", DRAFT_LIFE), run])


def _pack_noted(fill: Fill, index: Index, lease: bytes) -> bytes:
    names, numbers = _around_note(index)
    run = _run(_FILL_INDEXED, fill.key, names, 9, lease, _numbers(fill.life))
    payload, text, note = fill.payload, fill.key.text.encode(), fill.note
    return _NOTED % (run, len(payload), payload, len(text), text, len(note), note, numbers)


@lru_cache(maxsize=1024)
def _around_note(index: Index) -> tuple[tuple[str, ...], bytes]:
    """Return the names of an index, and the numbers that its script wants, packed."""
    _, *numbers = note_arguments(index, b"")
    return (index.fence, *index_names(index.name)), pack_part(*numbers)


def _pack_read(read: Read) -> Packed:
    name, scopes = read.key.text.encode(), read.key.scopes
    if read.tags:
        scopes += read.tags
    pttl, mget = _read_frame(len(name), len(scopes))
    names = pack_part(*scopes)
    if read.life:
        return b"".join((pttl, name, _AFTER_NAME, mget, name, _AFTER_NAME, names)), 2
    return b"".join((mget, name, _AFTER_NAME, names)), 1


@lru_cache(maxsize=4096)
def _read_frame(size: int, names: int) -> tuple[bytes, bytes]:
    """Return what stands before the bytes of a key in the two commands that read."""
    value = size + len(_VALUE)
    return _PTTL % value, _MGET % (2 + names, value)


def _read(read: Read, replies: Sequence[Any]) -> Any:
    if read.life:
        left, values = replies
        if type(values) is not list or isinstance(left, Exception):
            return LONG_WAY
        return reading(read.key, left, values, len(read.tags))
    values, end = replies[0], 1 + len(read.key.scopes)
    if type(values) is not list or len(values) != end + len(read.tags):
        return LONG_WAY
    for value in values:
        if type(value) is not bytes and value is not None:
            return LONG_WAY
    payload = values[0]
    left = 0.0 if payload is None else inf
    if not read.tags:
        return Reading(payload, left, values[1:])
    return Reading(payload, left, values[1:end], values[end:])


def _read_then_begin(command: ReadThenBegin, replies: Sequence[Any]) -> Any:
    reply, count = replies[0], len(command.begin.key.scopes)
    if type(reply) is bytes and len(reply) == STAMP_BYTES * count:
        stamps = [reply] if count == 1 else _split(reply)
        return Reading(None, 0.0, stamps), Granted(command.begin.token or b"", stamps)
    if type(reply) is not list or len(reply) != 3 + count:
        return LONG_WAY
    kind, first, left, *stamps = reply
    if type(left) is not int or not are_stamps(stamps):
        return LONG_WAY
    if kind == b"granted":
        # Of what was stored under other stamps, there is no more to know than that it is there.
        return Reading(b"", 0.0, stamps), Granted(command.begin.token or b"", stamps)
    if type(first) is not bytes:
        return LONG_WAY
    if kind == b"held":
        return Reading(None, 0.0, stamps), Held(first, stamps, max(0.0, left / 1000))
    return (Reading(first, left / 1000, stamps), Found()) if kind == b"found" else LONG_WAY


def _split(stamps: bytes) -> list[bytes]:
    """Return the stamps of a generation."""
    size = STAMP_BYTES
    return [stamps[at : at + size] for at in range(0, len(stamps), size)]


def _begin(begin: Begin, replies: Sequence[Any]) -> Any:
    reply = replies[0]
    if type(reply) is list and reply[:1] == [b"found"]:
        return Found()
    both = _read_then_begin(ReadThenBegin(begin), replies)
    return LONG_WAY if both is LONG_WAY else both[1]


def _fill(fill: Fill, replies: Sequence[Any]) -> Any:
    return True if replies[-1] == 1 else LONG_WAY


def _overwrite(command: Overwrite, replies: Sequence[Any]) -> Any:
    stored = replies[-1]
    return bool(stored) if type(stored) is int else LONG_WAY


NO_SHORTCUT: Final[Shortcut] = (lambda command: None, lambda command, replies: LONG_WAY)
"""The short way of what has none."""
