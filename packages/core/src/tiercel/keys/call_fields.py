"""Key fields that a duration-boxed function is given: a prefix of its own, and object identity."""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from itertools import count
from typing import Any, Final

from tiercel.contracts.key_field import KeyField, Part, Target
from tiercel.errors import ConfigurationError, UnkeyableValue

_STARS: Final = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class PrefixKeyField(KeyField):
    """What a callable returns for a call, given the function and the arguments that it names.

    Args:
        function: The cached function, which it gets first.
        prefix: The callable. With `*args` or `**kwargs` it gets every argument of the call, as
            the function would; without, those whose names its parameters have.
    """

    def __init__(self, function: Callable[..., Any], prefix: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.prefix = prefix

    def parts(self, target: Target) -> Sequence[Part]:
        _, *own = inspect.signature(self.prefix).parameters.values()
        if any(each.kind in _STARS for each in own):
            return [Part("prefix", tuple(target.signature.parameters), self._with_all(target))]
        return [self._with_named(target, own)]

    def _with_named(self, target: Target, own: Sequence[Parameter]) -> Part:
        known = target.signature.parameters
        needed = [each.name for each in own if each.default is Parameter.empty]
        for name in needed:
            target.require(name)
        names = tuple(each.name for each in own if each.name in known)

        def named(*values: Any) -> Any:
            return self.prefix(self.function, **dict(zip(names, values, strict=True)))

        return Part("prefix", names, named)

    def _with_all(self, target: Target) -> Callable[..., Any]:
        parameters = list(target.signature.parameters.values())

        def with_all(*values: Any) -> Any:
            arguments = dict(zip(target.signature.parameters, values, strict=True))
            return self.prefix(self.function, *_positional(parameters, arguments))

        keywords = [each for each in parameters if each.kind is Parameter.KEYWORD_ONLY]
        extra = target.parameter(Parameter.VAR_KEYWORD)
        if not keywords and extra is None:
            return with_all

        def with_keywords(*values: Any) -> Any:
            arguments = dict(zip(target.signature.parameters, values, strict=True))
            named = {each.name: arguments[each.name] for each in keywords}
            named |= arguments[extra] if extra is not None else {}
            return self.prefix(self.function, *_positional(parameters, arguments), **named)

        return with_keywords


def _positional(parameters: Sequence[Parameter], arguments: Mapping[str, Any]) -> list[Any]:
    values: list[Any] = []
    for each in parameters:
        if each.kind is Parameter.VAR_POSITIONAL:
            values += arguments[each.name]
        elif each.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
            values.append(arguments[each.name])
    return values


@dataclass(frozen=True, slots=True)
class _Destroyed:
    """Stands for an object that is not there any more."""

    number: int


class ObjectKeyField(KeyField):
    """The identity of the first argument, as long as that object lives.

    The identity is a number that no other object of this process ever gets, unlike an address.
    """

    def __init__(self) -> None:
        super().__init__(partition=True)
        self._cached: Callable[[], Any] = lambda: None
        self._lock = threading.RLock()  # a destruction may interrupt its own thread in here
        self._numbers: dict[int, tuple[weakref.ref[Any], int]] = {}

    def parts(self, target: Target) -> Sequence[Part]:
        name = target.parameter(Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        if name is None:
            raise ConfigurationError(
                f"{target.function} has no argument whose destruction could end its entries: "
                "remove expire_when="
            )
        return [Part("object", (name,), self.number)]

    def follow(self, cached: Any) -> None:
        """Drop the entries of an object from this cached function when the object is destroyed."""
        self._cached = weakref.ref(cached)

    def number(self, instance: Any) -> int:
        """Return the number of an object.

        Raises:
            UnkeyableValue: Nobody can be told of the destruction of such an object.
        """
        if type(instance) is _Destroyed:
            return instance.number
        address = id(instance)
        with self._lock:
            known = self._numbers.get(address)
            if known is not None and known[0]() is instance:
                return known[1]
            number = next(_numbers)
            self._numbers[address] = self._reference(instance, address, number), number
            return number

    def _reference(self, instance: Any, address: int, number: int) -> weakref.ref[Any]:
        def destroyed(reference: weakref.ref[Any]) -> None:
            with self._lock:
                if self._numbers.get(address, (None,))[0] is reference:
                    del self._numbers[address]
            cached = self._cached()
            if cached is not None:
                for each in cached.all_in_use():
                    each.drop_partition(_Destroyed(number))

        try:
            return weakref.ref(instance, destroyed)
        except TypeError as error:
            raise UnkeyableValue(
                f"nobody is told when a {type(instance).__name__} is destroyed: add "
                "'__weakref__' to its __slots__, or do without expire_when="
            ) from error


_numbers = count(1)
