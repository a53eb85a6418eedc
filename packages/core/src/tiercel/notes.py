"""What the index of a function keeps of its calls, so that entries can be found by arguments.

A note holds what a key does not tell by its text, and the arguments in the form in which tasks
carry them. It is signed or encrypted where the function's values are, and never holds a value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from inspect import BoundArguments, Parameter
from typing import Any, Final

from msgspec import MsgspecError, Struct, msgpack

from tiercel.codec.compress import CompressedCodec
from tiercel.codec.wrapping import WrappingCodec
from tiercel.contracts.backend import Key
from tiercel.contracts.codec import Codec
from tiercel.dispatch.arguments import shapes_of
from tiercel.dispatch.values import pack, unpack
from tiercel.engine.index import Arguments
from tiercel.engine.state import Call, NotedOrigin, Subject
from tiercel.errors import Undecodable
from tiercel.keys.plan import KeyPlan

MAX_NOTE: Final = 4096
"""Bytes of a note; longer ones leave the arguments out."""

_Kind = Parameter
_EXACT: Final = frozenset({type(None), bool, str})
_BIG: Final = 2**63


class _Parts(Codec):
    """Notes as msgpack: the spread, the other scopes, the arguments known, the names of others."""

    name = "note"
    binds = False

    def __init__(self) -> None:
        self._decode = msgpack.Decoder(tuple[str, list[str], dict[str, Any], list[str]]).decode

    def encode(self, value: Any, bound_to: bytes) -> bytes:
        return _encode(value)

    def decode(self, payload: bytes | memoryview, bound_to: bytes) -> Any:
        try:
            return self._decode(payload)
        except (MsgspecError, RecursionError) as error:
            raise Undecodable("this is no note") from error


_encode = msgpack.Encoder().encode


class Wanted(Struct):
    """An argument that is looked for; `text` is None if no note could hold it."""

    value: Any
    text: str | None


class FunctionNotes:
    """Makes the notes of one function, and reads them."""

    def __init__(self, subject: Subject, target: Callable[..., Any], plan: KeyPlan) -> None:
        self._scope = subject.function_scope.name
        self._head = f"{plan.layout.head}:"
        self._codec = _around(subject.codec)
        self._binds = self._codec.binds
        self._shapes = shapes_of(target)
        self._signature = plan.signature
        parameters = plan.signature.parameters
        self._kinds = {name: each.kind for name, each in parameters.items()}
        self._defaults = {
            name: each.default
            for name, each in parameters.items()
            if each.default is not Parameter.empty
        }
        direct = {_Kind.POSITIONAL_OR_KEYWORD, _Kind.KEYWORD_ONLY}
        self._is_direct = direct.issuperset(self._kinds.values())
        self._positional = [
            name for name, kind in self._kinds.items() if kind is _Kind.POSITIONAL_OR_KEYWORD
        ]

    # Writing

    def note(self, call: Call) -> bytes:
        """Return what the index keeps of a call."""
        key, known, unknown = call.key, {}, []
        for name, value in self._bound(call.args, call.kwargs).items():
            try:
                known[name] = self._pack(name, value)
            except TypeError:
                unknown.append(name)
        spread = "" if key.spread == key.text else key.spread
        note = self._encode(key, [spread, list(key.scopes[1:]), known, unknown])
        if len(note) <= MAX_NOTE:
            return note
        return self._encode(key, [spread, list(key.scopes[1:]), {}, list(self._kinds)])

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the value of every parameter."""
        if self._is_direct:
            return {**self._defaults, **dict(zip(self._positional, args, strict=False)), **kwargs}
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def _pack(self, name: str, value: Any) -> Any:
        exact = type(value)
        if exact in _EXACT or (exact is int and abs(value) < _BIG):
            return value
        kind = self._kinds[name]
        if kind is _Kind.VAR_POSITIONAL:
            return [pack(each, name, self._shapes) for each in value]
        if kind is _Kind.VAR_KEYWORD:
            return [[each, pack(value[each], name, self._shapes)] for each in value]
        return pack(value, name, self._shapes)

    def _encode(self, key: Key, parts: list[Any]) -> bytes:
        return self._codec.encode(parts, _bound_to(key.text) if self._binds else b"")

    # Reading

    def listed(self, text: str, note: bytes) -> PackedCall | None:
        """Return what a note says; None if it is none of this function."""
        try:
            bound_to = _bound_to(text) if self._binds else b""
            spread, scopes, known, unknown = self._codec.decode(note, bound_to)
            key = Key(text, (self._scope, *scopes), spread or text)
        except Undecodable:
            return None
        is_own = text.startswith(self._head) and known.keys() <= self._kinds.keys()
        return PackedCall(key, self, known, tuple(unknown)) if is_own else None

    def remembered(self, origin: NotedOrigin) -> PlainCall:
        """Return what memory knows of an entry."""
        return PlainCall(origin.key, self, origin.args, origin.kwargs)

    def wanted(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Wanted]:
        """Return what to look for, by parameter.

        Raises:
            TypeError: The function has no such arguments.
        """
        given = self._signature.bind_partial(*args, **kwargs).arguments
        return {name: Wanted(value, self._text(name, value)) for name, value in given.items()}

    def unpacked(self, known: Mapping[str, Any]) -> Arguments:
        """Return the arguments of a call, as they can be passed again.

        Raises:
            LookupError: What one of them stood for does not exist any more.
        """
        arguments = {name: self._unpack(name, known[name]) for name in self._kinds if name in known}
        bound = BoundArguments(self._signature, arguments)
        return bound.args, bound.kwargs

    def _unpack(self, name: str, packed: Any) -> Any:
        if type(packed) in _EXACT or type(packed) is int:
            return packed
        kind = self._kinds[name]
        if kind is _Kind.VAR_POSITIONAL:
            return tuple(unpack(each, self._shapes) for each in packed)
        if kind is _Kind.VAR_KEYWORD:
            return {each: unpack(value, self._shapes) for each, value in packed}
        return unpack(packed, self._shapes)

    # Comparing

    def is_met(self, name: str, wanted: Wanted, packed: Any) -> bool:
        """Tell whether a packed argument is the one that is looked for.

        Of `*args` it must begin with those that are looked for, and `**kwargs` must hold them.
        """
        kind = self._kinds[name]
        if wanted.text is None:
            return False
        if kind is _Kind.VAR_POSITIONAL:
            return _identity(packed[: len(wanted.value)]) == wanted.text
        if kind is _Kind.VAR_KEYWORD:
            packed = [pair for pair in packed if pair[0] in wanted.value]
            return _identity(sorted(packed)) == wanted.text
        return _identity(packed) == wanted.text

    def is_met_by(self, name: str, wanted: Wanted, value: Any) -> bool:
        """Tell the same of an argument of this process, which need not be such as notes hold."""
        try:
            return self.is_met(name, wanted, self._pack(name, value))
        except TypeError:
            return wanted.text is None and _may_be_equal(wanted.value, value)

    def bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the value of every parameter of a call."""
        return self._bound(args, kwargs)

    def _text(self, name: str, value: Any) -> str | None:
        try:
            packed = self._pack(name, value)
        except TypeError:
            return None
        in_order = self._kinds[name] is not _Kind.VAR_KEYWORD
        return _identity(packed if in_order else sorted(packed))


class PackedCall(Struct, frozen=True):
    """A call that an index of the shared tier lists."""

    key: Key
    notes: FunctionNotes
    known: Mapping[str, Any]
    unknown: tuple[str, ...]

    def arguments(self) -> Arguments | None:
        """Return its arguments, if all are known and what they stand for is still there."""
        if self.unknown:
            return None
        try:
            return self.notes.unpacked(self.known)
        except (LookupError, TypeError, ValueError):
            return None

    def meets(self, wanted: Mapping[str, Wanted]) -> bool:
        """Tell whether it has these arguments, or may have them."""
        return all(
            name not in self.known or self.notes.is_met(name, each, self.known[name])
            for name, each in wanted.items()
        )


class PlainCall(Struct, frozen=True):
    """A call that memory remembers."""

    key: Key
    notes: FunctionNotes
    args: Sequence[Any]
    kwargs: Mapping[str, Any]

    def arguments(self) -> Arguments | None:
        """Return its arguments, as they were given."""
        return tuple(self.args), dict(self.kwargs)

    def meets(self, wanted: Mapping[str, Wanted]) -> bool:
        """Tell whether it has these arguments."""
        bound = self.notes.bound(self.args, self.kwargs)
        return all(
            self.notes.is_met_by(name, each, bound.get(name)) for name, each in wanted.items()
        )


def _around(codec: Codec) -> Codec:
    """Return the codec of notes, signing and encrypting as another one does."""
    if isinstance(codec, CompressedCodec):
        return _around(codec.inner)
    return codec.around(_around(codec.inner)) if isinstance(codec, WrappingCodec) else _Parts()


def _may_be_equal(one: Any, other: Any) -> bool:
    try:
        return bool(one is other or one == other)
    except Exception:
        return True  # nobody knows: their own comparison fails


def _bound_to(text: str) -> bytes:
    """What ties a note to its key, and keeps it from passing for a value."""
    return f"{text}!note".encode()


def _identity(packed: Any) -> str:
    """Return a text that two packed values share only if they are the same argument."""
    return json.dumps(_in_order(packed), sort_keys=True)


def _in_order(packed: Any) -> Any:
    """Put into one order what has none: the items of sets and dicts."""
    if isinstance(packed, list):
        return [_in_order(each) for each in packed]
    if not isinstance(packed, dict):
        return packed
    ordered = {name: _in_order(each) for name, each in packed.items()}
    for name in ordered.keys() & {"$set", "$frozenset", "$dict"}:
        ordered[name] = sorted(ordered[name], key=json.dumps)
    return ordered
