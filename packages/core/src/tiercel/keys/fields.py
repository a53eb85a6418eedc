"""Key fields that read the arguments of the function, or something outside of the call."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from inspect import Parameter
from typing import Any, Final, Unpack

from tiercel.clock import SYSTEM_CLOCK
from tiercel.contracts.key_field import ABSENT, KeyField, KeyFieldOptions, Part, Target
from tiercel.errors import ConfigurationError
from tiercel.keys.lookup import resolve

CacheKeyField = KeyField
"""Another name of `KeyField`."""

_NOT_OF_THE_URL: Final = frozenset({"self", "cls", "request"})


class ConstantKeyField(KeyField):
    """A value that is the same for every call.

    Args:
        key: What the value is called in the key.
        value: Any value that can be part of a key.
        options: As of `KeyField`.
    """

    def __init__(self, key: str, value: Any, **options: Unpack[KeyFieldOptions]) -> None:
        super().__init__(**options)
        self.key = key
        self.value = value

    def parts(self, target: Target) -> Sequence[Part]:
        return [Part(self.key, constant=self.value)]


class ArgsKeyField(KeyField):
    """Arguments of the function.

    Args:
        arguments: The name of one, a sequence of names, or "*" for all. A name that is none of
            the parameters is looked up in `**kwargs`, where the function has them.
        path: Read this dotted path (attributes or mapping keys) from each argument.
        normalizer: Called with each value; what it returns is put in the key.
        options: As of `KeyField`.
    """

    def __init__(
        self,
        arguments: str | Sequence[str] = "*",
        path: str | None = None,
        normalizer: Callable[[Any], Any] | None = None,
        **options: Unpack[KeyFieldOptions],
    ) -> None:
        super().__init__(**options)
        if normalizer is not None and not callable(normalizer):
            raise ConfigurationError(f"normalizer must be callable, not {normalizer!r}")
        self.arguments = (arguments,) if isinstance(arguments, str) else tuple(arguments)
        if not self.arguments or not all(isinstance(each, str) for each in self.arguments):
            raise ConfigurationError(f"arguments must be names or '*', not {arguments!r}")
        self.path = path
        self.normalizer = normalizer

    def parts(self, target: Target) -> Sequence[Part]:
        return [self._part(target, name) for name in self._names(target)]

    def _names(self, target: Target) -> Sequence[str]:
        if self.arguments == ("*",):
            return list(target.signature.parameters)
        return self.arguments

    def _part(self, target: Target, name: str) -> Part:
        label = name if self.path is None else f"{name}.{self.path}"
        extra = target.parameter(Parameter.VAR_KEYWORD)
        if name in target.signature.parameters or extra is None:
            target.require(name)
            return Part(label, (name,), self._reader())
        return Part(label, (extra,), self._reader(name))

    def _reader(self, name: str | None = None) -> Callable[[Any], Any] | None:
        path, normalizer = self.path, self.normalizer
        if name is None and path is None:
            return normalizer

        def read_argument(value: Any) -> Any:
            if name is not None:
                value = value.get(name, ABSENT)
            if path is not None:
                value = resolve(value, path)
            return value if normalizer is None or value is ABSENT else normalizer(value)

        return read_argument


class ViewKwargsKeyField(ArgsKeyField):
    """What a view takes from its URL: its arguments except `self`, `cls` and `request`."""

    def _names(self, target: Target) -> Sequence[str]:
        return [name for name in super()._names(target) if name not in _NOT_OF_THE_URL]


class CallableKeyField(KeyField):
    """What a function returns that is called with those arguments whose names it takes.

    Args:
        fn: The function; it must be fast and have no side effects.
        options: As of `KeyField`.
    """

    def __init__(self, fn: Callable[..., Any], **options: Unpack[KeyFieldOptions]) -> None:
        super().__init__(**options)
        if not callable(fn):
            raise ConfigurationError(f"CallableKeyField needs a function, not {fn!r}")
        self.fn = fn

    def parts(self, target: Target) -> Sequence[Part]:
        fn, names = self.fn, self._arguments(target)

        def call(*values: Any) -> Any:
            return fn(**dict(zip(names, values, strict=True)))

        return [Part(target.attribute, names, call)]

    def _arguments(self, target: Target) -> tuple[str, ...]:
        known, taken = target.signature.parameters, list[str]()
        for each in inspect.signature(self.fn).parameters.values():
            if each.kind is Parameter.VAR_KEYWORD:
                taken += [name for name in known if name not in taken]
            elif each.kind in (Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL):
                raise ConfigurationError(
                    f"key field {target.owner}.{target.attribute}: its function is called with "
                    f"keywords, so it cannot take the positional {each.name!r}"
                )
            elif each.name in known or each.default is Parameter.empty:
                target.require(each.name)
                taken.append(each.name)
        return tuple(taken)


class ContextVarKeyField(KeyField):
    """The current value of a context variable; one that is not set counts as a value of its own.

    Args:
        var: The variable.
        options: As of `KeyField`.
    """

    def __init__(self, var: ContextVar[Any], **options: Unpack[KeyFieldOptions]) -> None:
        super().__init__(**options)
        if not isinstance(var, ContextVar):
            raise ConfigurationError(f"ContextVarKeyField needs a ContextVar, not {var!r}")
        self.var = var

    def parts(self, target: Target) -> Sequence[Part]:
        return [Part(self.var.name, extract=self._read)]

    def _read(self) -> Any:
        try:
            return self.var.get()
        except LookupError:
            return ABSENT


class SettingKeyField(KeyField):
    """The current value of a setting.

    Args:
        name: Its name; may be a dotted path.
        source: Where it is: an object with attributes, a mapping, or a function that is called
            with the name.
        options: As of `KeyField`.
    """

    def __init__(self, name: str, source: Any, **options: Unpack[KeyFieldOptions]) -> None:
        super().__init__(**options)
        self.name = name
        self.source = source

    def parts(self, target: Target) -> Sequence[Part]:
        name, source = self.name, self.source
        if inspect.isroutine(source):
            return [Part(name, extract=lambda: source(name))]
        return [Part(name, extract=lambda: resolve(source, name))]


class TimeBucketKeyField(KeyField):
    """The current stretch of time: its entries stop being found when the next one begins.

    Args:
        seconds: How long a stretch is; stretches are counted from the Unix epoch.
        clock: Returns the time in seconds since then.
        options: As of `KeyField`.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = SYSTEM_CLOCK.time,
        **options: Unpack[KeyFieldOptions],
    ) -> None:
        super().__init__(**options)
        if not seconds > 0 or math.isinf(seconds):
            raise ConfigurationError(f"seconds must be positive and finite, not {seconds!r}")
        self.seconds = seconds
        self.clock = clock

    def parts(self, target: Target) -> Sequence[Part]:
        clock, seconds = self.clock, self.seconds
        return [Part(target.attribute, extract=lambda: int(clock() // seconds))]
