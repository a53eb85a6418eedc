"""What stands for the object or class of a method in a call that was written down.

A class is looked up: it is the one that the method was defined in, or one below it. An object is
not there; what its key is made of can be: `self=5`, the value of its `__cache_key__()` or what an
encoder turns it into, and `self.name='ann'`, an attribute that a key field reads.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tiercel.cached import CachedFunction
from tiercel.errors import TiercelError, UnkeyableValue
from tiercel.keys import names
from tiercel.keys.call_fields import ObjectKeyField
from tiercel.keys.encoding import Encoders, KeyText
from tiercel.keys.names import Refused, class_text, name_of
from tiercel.keys.parts import PlannedPart

Said = Mapping[str, Any]
"""What was said of a receiver, by path: the empty one is itself, `pk` an attribute."""

AnyFunction = CachedFunction[Any, Any, Any]

CLASS: Final = "__class__"
"""The path that says of which class below its own an object is."""


class BadArguments(TiercelError, ValueError):
    """What was written is no call of the function; says why."""


def receiver_name(function: AnyFunction) -> str:
    """Return the name of the argument that is the object or class of a method, else nothing."""
    return names.receiver_name(function.func)


def separated(
    function: AnyFunction, named: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what named arguments say of the receiver, by path, and the others."""
    name = receiver_name(function)
    mine = re.compile(rf"{name}((?:\.\w+)*)") if name else None
    said, others = dict[str, Any](), dict[str, Any]()
    for key, value in named.items():
        match = mine.fullmatch(key) if mine is not None else None
        if match is None:
            others[key] = value
        else:
            said[match[1].removeprefix(".")] = value
    return said, others


def receiver_of(function: AnyFunction, said: Said) -> Any:
    """Return what stands for the receiver: a class, or a stand-in with what its key needs.

    Raises:
        BadArguments: What was said is no receiver of this method.
    """
    name = receiver_name(function)
    keyed = any(name in field.arguments for field in function.plan.fields)
    if name == "cls" and (keyed or _owner_of(function) is not None):
        return _class_of(function, said.get(""))
    found = _StandIn(name, said)
    for path, value in said.items():
        if path and path != CLASS:
            _put(found, path.split("."), value)
    if "" in said:
        kind = _class_of(function, said.get(CLASS))
        found.text = _text_of(kind, said[""], function._home().encoders)
    return found


def check_receiver(function: AnyFunction, args: Sequence[Any]) -> None:
    """Refuse a call whose key needs more of its object than was said.

    Raises:
        BadArguments: Says what is needed, and how to write it.
    """
    if not args or not isinstance(args[0], KeyText):
        return
    for field in function.plan.fields:
        if isinstance(field.field, ObjectKeyField):
            raise BadArguments(
                f"{function.name} keeps results in memory for as long as their object lives, so "
                "only the process that has the object can be asked"
            )
        for part in field.parts:
            if part.arguments[:1] == (receiver_name(function),):
                _check_part(function, part, args[0])
    if callable(function.settings.tags):
        raise BadArguments(
            f"{function.name}: its tags are made of its object: ask for a key with `why`, or drop "
            "by tag"
        )


def require_live(function: AnyFunction, args: Sequence[Any]) -> None:
    """Refuse to call a method whose object is not there.

    Raises:
        BadArguments: Says where it can be called.
    """
    if args and isinstance(args[0], KeyText):
        raise BadArguments(
            f"{function.name} is a method, and to compute takes its object: call refresh() of the "
            "method in the application; drop, get and explain work from here"
        )


def forget_elsewhere(function: AnyFunction, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Have memory drop what it knows by an object that is not there, but has a text.

    Raises:
        BadArguments: Memory is all that the function has, and it knows no texts.
    """
    if not args or not isinstance(args[0], KeyText) or args[0].text is None:
        return
    subject = function.subject
    if subject.backend is None:
        raise BadArguments(
            f"{function.name} is kept in memory only, where entries are known by objects: drop "
            "everything of it, or let the process that has the object drop its entry"
        )
    if subject.engine.memory is not None:
        subject.engine.memory.drop_name(function.call(args, kwargs).key.text)


class _StandIn(KeyText):
    """An object that is not there, and what was said of it."""

    def __init__(self, name: str, said: Said) -> None:
        super().__init__(None)
        self._name, self._said = name, said

    def __repr__(self) -> str:
        written = (
            f"{'.'.join(filter(None, (self._name, path)))}={value!r}"
            for path, value in self._said.items()
        )
        return ", ".join(written) or f"{self._name}=..."


def _put(target: Any, names: Sequence[str], value: Any) -> None:
    *way, last = names
    for name in way:
        if not isinstance(vars(target).get(name), KeyText):
            setattr(target, name, KeyText(None))
        target = getattr(target, name)
    setattr(target, last, value)


def _class_of(function: AnyFunction, said: Any) -> type:
    """Return the class of a method, or one below it by its name."""
    owner = _owner_of(function)
    if owner is None:
        raise BadArguments(
            f"{function.name}: its class cannot be found by its name, as classes in functions "
            "cannot; ask for a key with `why` instead"
        )
    if said is None:
        return owner
    known = {name: kind for kind in _all_of(owner) for name in (kind.__qualname__, name_of(kind))}
    if said not in known:
        raise BadArguments(f"{function.name}: {said!r} is no class below {name_of(owner)}")
    return known[said]


def _owner_of(function: AnyFunction) -> type | None:
    """Return the class that a method was defined in, if its name leads to it."""
    func: Any = function.func
    scope, _, _ = func.__qualname__.rpartition(".")
    owner: Any = sys.modules.get(func.__module__)
    for name in scope.split("."):
        owner = getattr(owner, name, None)
    return owner if isinstance(owner, type) else None


def _all_of(owner: type) -> Iterator[type]:
    yield owner
    below: list[type] = type.__subclasses__(owner)
    for kind in below:
        yield from _all_of(kind)


def _text_of(kind: type, value: Any, encoders: Encoders) -> str:
    """Return the text in keys of an object of which the value is known that identifies it."""
    if not encoders.asks(kind):
        raise BadArguments(
            f"objects of {name_of(kind)} have no __cache_key__(), so no single value says which "
            "one is meant: ask for a key with `why` instead"
        )
    try:
        return f"{class_text(kind)}({encoders.text(value, 'what was given for the object')})"
    except (Refused, UnkeyableValue) as error:
        raise BadArguments(f"{value!r} cannot stand for an object: {error}") from error


def _check_part(function: AnyFunction, part: PlannedPart, receiver: KeyText) -> None:
    name = receiver_name(function)
    if part.extract is None:
        if receiver.text is None:
            raise BadArguments(
                f"{function.name} is a method, and its key says which object it is of: give what "
                f"__cache_key__() of that returns, as {name}=VALUE"
            )
        return
    if len(part.arguments) > 1:
        return
    try:
        part.extract(receiver)
    except UnkeyableValue as error:
        known = part.name if part.name.startswith(f"{name}.") else f"{name}.ATTRIBUTE"
        raise BadArguments(
            f"{function.name} is a method, and its key holds {part.name} of its object: give it, "
            f"as {known}=VALUE ({error})"
        ) from error
