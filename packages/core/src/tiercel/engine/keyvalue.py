"""Makes a backend of a store that can only get and set, at level G1: by stamps alone.

Nothing here is atomic, so every entry also depends on a stamp of its own (protocol rule 7): what
drops or forces a key changes that stamp, and a fill that began before is never readable.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from tiercel.clock import SYSTEM_CLOCK, Clock
from tiercel.contracts.backend import (
    STAMP_BYTES,
    Backend,
    Begin,
    Begun,
    Capability,
    Clear,
    Command,
    DropKey,
    DropScopes,
    Fill,
    Found,
    Granted,
    Held,
    Key,
    MintTags,
    Poll,
    Read,
    Reading,
    ReadMany,
    ReadThenBegin,
    Release,
    Renew,
)
from tiercel.contracts.index import ListEntries, Probe
from tiercel.engine.kvobject import Call, Calls, KeyValueObject, has_twins
from tiercel.errors import BackendRefused, BackendUnavailable, TiercelError
from tiercel.stamps import carries, join_stamps

Reply = TypeVar("Reply")

SCOPE_LIFE = 30 * 86_400.0
"""Seconds that a scope's stamp is kept at least: it cannot be prolonged without a race."""

SKEW = 10.0
"""Seconds by which the wall clocks of two processes may differ; more than that is a miss."""

ATTEMPTS = 8
"""How often a drop is tried that cannot be read back."""

_SPAN = struct.Struct(">dd")  # when it was written (wall clock), how long it lives; both in seconds


def adapt(target: Any, clock: Clock = SYSTEM_CLOCK) -> Backend:
    """Return a backend that stores in `target`.

    Args:
        target: A `Backend`, which is returned as it is; a `KeyValueStore`; or any object with
            `get(key)` and `set(key, value, ttl)`, plain or coroutine functions, or both with an
            `a` before the names of the coroutines.
        clock: Its wall clock decides what has expired, to within `SKEW` seconds.

    Raises:
        ConfigurationError: `target` lacks `get` or `set`.
    """
    if isinstance(target, Backend):
        return target
    twins = KeyValueObject(target, "a") if has_twins(target) else None
    return KeyValueBackend(KeyValueObject(target), clock, twins)


class KeyValueBackend(Backend):
    """The commands of the protocol on top of get and set.

    Leases are kept only where the object can `add`, and are best effort even then. There is no
    push channel and nothing can be listed: `Poll` and `Clear` are refused.

    Args:
        store: The methods of the object.
        clock: Its wall clock decides what has expired.
        twins: The same as coroutines, where the object has both kinds.

    Attributes:
        keeps_leases: Whether the object can `add`.
    """

    def __init__(
        self,
        store: KeyValueObject,
        clock: Clock = SYSTEM_CLOCK,
        twins: KeyValueObject | None = None,
    ) -> None:
        self.capabilities = frozenset({Capability.MULTI_GET} if store.multi_get else ())
        self.asynchronous = store.asynchronous or twins is not None
        self.synchronous = not store.asynchronous
        self.keeps_leases = store.can_add
        self._store = store
        self._decisions = _Decisions(store, clock.time)
        self._adecisions = _Decisions(twins, clock.time) if twins else self._decisions

    def execute(self, command: Command[Reply]) -> Reply:
        """Execute a command with plain calls."""
        if not self.synchronous:
            return super().execute(command)
        steps = self._decisions.on(command)
        reply: Any = None
        while True:
            try:
                call = steps.send(reply)
            except StopIteration as stop:
                return cast("Reply", stop.value)
            try:
                reply = call.method(*call.args, **call.kwargs)
            except Exception as failure:
                raise self._failed(call, failure) from failure
            if inspect.iscoroutine(reply):
                reply.close()
                raise BackendRefused(
                    f"{self._store.name}.{call.method.__name__}() returned a coroutine: "
                    "give the object an attribute `asynchronous = True`"
                )

    async def aexecute(self, command: Command[Reply]) -> Reply:
        """Execute a command, awaiting what can be awaited; plain calls run in a thread."""
        if not self.asynchronous:
            reply: Any = await self._store.in_thread(self.execute, command)
            return cast("Reply", reply)
        steps = self._adecisions.on(command)
        reply = None
        while True:
            try:
                call = steps.send(reply)
            except StopIteration as stop:
                return cast("Reply", stop.value)
            try:
                if inspect.iscoroutinefunction(call.method):
                    reply = await call.method(*call.args, **call.kwargs)
                else:
                    reply = await asyncio.to_thread(call.method, *call.args, **call.kwargs)
                    reply = await reply if inspect.isawaitable(reply) else reply
            except Exception as failure:
                raise self._failed(call, failure) from failure

    def _failed(self, call: Call, failure: Exception) -> TiercelError:
        if isinstance(failure, (BackendUnavailable, BackendRefused)):
            return failure
        name = getattr(call.method, "__name__", "call")
        return BackendUnavailable(f"{self._store.name}.{name}() failed: {failure!r}")


class _Decisions:
    """What each command does, as generators of calls.

    Names in the store end in a letter that tells their kind, so that no key can be mistaken for
    another's stamp: `!v` value, `!k` stamp of a key, `!l` lease, `!s` stamp of a scope or tag.
    """

    def __init__(self, store: KeyValueObject, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._table: Mapping[type[Command[Any]], Callable[[Any], Calls[Any]]] = {
            Read: self._read,
            ReadMany: self._read_many,
            ReadThenBegin: self._read_then_begin,
            Begin: self._begin,
            Fill: self._fill,
            Renew: self._renew,
            Release: self._release,
            DropKey: self._drop_key,
            DropScopes: self._drop_scopes,
            MintTags: self._mint_tags,
        }

    def on(self, command: Command[Any]) -> Calls[Any]:
        if isinstance(command, Poll):
            raise BackendRefused(f"{self._store.name} has no push channel to poll")
        if isinstance(command, Clear):
            raise BackendRefused(
                f"{self._store.name} cannot list its keys, so it cannot be cleared by prefix: "
                "drop the functions instead"
            )
        if isinstance(command, (ListEntries, Probe)):
            raise BackendRefused(f"{self._store.name} keeps no index of its entries")
        return self._table[type(command)](command)

    # Reading

    def _read(self, command: Read) -> Calls[Reading]:
        names = [f"{command.key.text}!v", *_stamp_names(command.key), *map(_scope, command.tags)]
        now = self._now()
        value, *stamps = yield from self._store.get_many(names)
        return _reading(value, stamps, now, len(command.key.scopes) + 1)

    def _read_many(self, command: ReadMany) -> Calls[list[Reading]]:
        wanted = [[f"{key.text}!v", *_stamp_names(key)] for key in command.keys]
        names = list(dict.fromkeys(name for group in wanted for name in group))
        now = self._now()
        found = dict(zip(names, (yield from self._store.get_many(names)), strict=True))
        return [
            _reading(found[value], [found[name] for name in stamps], now, len(stamps))
            for value, *stamps in wanted
        ]

    def _read_then_begin(self, command: ReadThenBegin) -> Calls[tuple[Reading, Begun]]:
        reading = yield from self._read(Read(command.begin.key))
        return reading, (yield from self._begin(command.begin))

    # Leases

    def _begin(self, command: Begin) -> Calls[Begun]:
        key = command.key
        if command.force:
            # Whoever computes already must not be readable after what this caller will fill.
            yield from self._change(_key_stamp(key), 2 * command.stamp_life)
        names = _stamp_names(key)
        value, *known = yield from self._store.get_many([f"{key.text}!v", *names])
        stamps = yield from self._mint(names, known, command.stamp_life)
        payload, remaining = _unpack(value, self._now())
        lives = payload is not None and remaining > command.floor and not command.force
        if lives and carries(payload or b"", stamps):
            return Found()
        return (yield from self._take(command, stamps))

    def _take(self, command: Begin, stamps: Sequence[bytes]) -> Calls[Begun]:
        # The token ends in the key's stamp, so that a later drop or force is seen by the fill.
        token = os.urandom(STAMP_BYTES) + stamps[-1][:STAMP_BYTES]
        if not self._store.can_add:
            return Granted(token, stamps)
        name, generation = _lease(command.key), join_stamps(stamps) or b""
        lease = _pack(token + generation, command.lease, self._now())
        if not command.force and (yield from self._store.add(name, lease, command.lease)):
            return Granted(token, stamps)
        (present,) = yield from self._store.get_many([name])
        holder, remaining = _unpack(present, self._now())
        if holder and holder[2 * STAMP_BYTES :] == generation and not command.force:
            return Held(holder[: 2 * STAMP_BYTES], stamps, remaining)
        yield from self._store.set(name, lease, command.lease)
        return Granted(token, stamps)

    def _fill(self, command: Fill) -> Calls[bool]:
        if (yield from self._holder(command.key, command.token)) is None:
            return False
        value = _pack(command.payload, command.life, self._now())
        yield from self._store.set(f"{command.key.text}!v", value, command.life)
        if self._store.can_add:
            yield from self._store.delete(_lease(command.key))
        return True

    def _renew(self, command: Renew) -> Calls[bool]:
        holder = yield from self._holder(command.key, command.token)
        if holder:
            lease = _pack(holder, command.lease, self._now())
            yield from self._store.set(_lease(command.key), lease, command.lease)
        return holder is not None

    def _release(self, command: Release) -> Calls[None]:
        if (yield from self._holder(command.key, command.token)):
            yield from self._store.delete(_lease(command.key))

    def _holder(self, key: Key, token: bytes) -> Calls[bytes | None]:
        """Return the lease of `token`, empty where none are kept; None if it is not in force."""
        names = [_key_stamp(key)] + ([_lease(key)] if self._store.can_add else [])
        stamp, *leases = yield from self._store.get_many(names)
        if stamp is None or stamp[:STAMP_BYTES] != token[STAMP_BYTES:]:
            return None
        if not leases:
            return b""
        holder, _ = _unpack(leases[0], self._now())
        return holder if holder is not None and holder.startswith(token) else None

    # Drops and stamps

    def _drop_key(self, command: DropKey) -> Calls[bool]:
        key = command.key
        (value,) = yield from self._store.get_many([f"{key.text}!v"])
        yield from self._change(_key_stamp(key), SCOPE_LIFE)
        yield from self._store.delete(f"{key.text}!v")
        if self._store.can_add:
            yield from self._store.delete(_lease(key))
        return _unpack(value, self._now())[0] is not None

    def _drop_scopes(self, command: DropScopes) -> Calls[None]:
        life = max(command.life, SCOPE_LIFE)
        for scope in command.scopes:
            yield from self._change(_scope(scope.name), life, command.provenance)

    def _change(self, name: str, life: float, provenance: bytes = b"") -> Calls[None]:
        """Change a stamp; where failures are hidden, until it is seen to have changed.

        Each try has a stamp of its own. If it was there, and another drop has come since, writing
        it once more would make valid again what was filled before that.
        """
        seen = None
        for _ in range(ATTEMPTS):
            stamp = _new() + provenance
            yield from self._store.set(name, stamp, life)
            if not self._store.hides_failures:
                return
            (found,) = yield from self._store.get_many([name])
            if found == stamp or (None not in (found, seen) and found != seen):
                return  # a drop by another, that came later, is as good as this one
            seen = found
        raise BackendUnavailable(f"{self._store.name} did not keep a write, in silence")

    def _mint_tags(self, command: MintTags) -> Calls[list[bytes]]:
        names = [_scope(name) for name in command.tags]
        known = yield from self._store.get_many(names)
        return (yield from self._mint(names, known, command.stamp_life))

    def _mint(
        self, names: Sequence[str], known: Sequence[bytes | None], life: float
    ) -> Calls[list[bytes]]:
        """Create the missing stamps; only what a later reply shows counts as captured."""
        stamps = {name: _whole(stamp) for name, stamp in zip(names, known, strict=True)}
        missing = [name for name, stamp in stamps.items() if stamp is None]
        put = self._store.add if self._store.can_add else self._store.set
        for name in missing:
            yield from put(name, _new(), _stamp_life(name, life))
        if missing:
            shown = yield from self._store.get_many(missing)
            stamps.update(zip(missing, map(_whole, shown), strict=True))
        for name, stamp in stamps.items():
            if stamp is None:
                raise BackendRefused(f"{self._store.name} did not keep {name!r}, which it accepted")
        return [stamps[name] or b"" for name in names]


def _scope(name: str) -> str:
    return f"{name}!s"


def _key_stamp(key: Key) -> str:
    return f"{key.text}!k"


def _lease(key: Key) -> str:
    return f"{key.text}!l"


def _stamp_names(key: Key) -> list[str]:
    return [*map(_scope, key.scopes), _key_stamp(key)]


def _stamp_life(name: str, life: float) -> float:
    return 2 * life if name.endswith("!k") else max(life, SCOPE_LIFE)


def _new() -> bytes:
    return os.urandom(STAMP_BYTES)


def _whole(stamp: bytes | None) -> bytes | None:
    return stamp if stamp is not None and len(stamp) >= STAMP_BYTES else None


def _pack(data: bytes, life: float, now: float) -> bytes:
    return _SPAN.pack(now, life) + data


def _unpack(stored: bytes | None, now: float) -> tuple[bytes | None, float]:
    """Return the data and the seconds it has left; None and 0 if it is gone or not ours."""
    if stored is None or len(stored) < _SPAN.size:
        return None, 0.0
    written, life = _SPAN.unpack_from(stored)
    age = now - written
    if not -SKEW <= age < life:
        return None, 0.0
    return stored[_SPAN.size :], min(life, life - age)


def _reading(value: bytes | None, stamps: Sequence[bytes | None], now: float, own: int) -> Reading:
    payload, remaining = _unpack(value, now)
    known = [_whole(stamp) for stamp in stamps]
    return Reading(payload, remaining, known[:own], known[own:])
