"""Key constructors: classes that list the fields of a key, with the options in their `Meta`."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from inspect import iscoroutinefunction
from typing import Any, ClassVar, Final
from weakref import WeakSet

from tiercel.contracts.key_field import KeyField
from tiercel.errors import ConfigurationError
from tiercel.keys.fields import ArgsKeyField


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOptions:
    """What `Meta` of a key constructor may say.

    Attributes:
        namespace: Stands before the name of the function in each key.
        version: Raise it when what is stored changes its meaning: no entry of another version
            is found any more. An int, or text.
        key_identifier: Stands instead of the name of the function; functions that share one, and
            have the same fields, share their entries.
        max_key_suffix_length: With `hash_suffix_on_overflow`, a longer suffix is replaced by its
            digest; without, only one that would make the key longer than 230 bytes is. None: as
            the application is configured.
        hash_suffix_on_overflow: Whether `max_key_suffix_length` is in force. None: as the
            application is configured.
    """

    namespace: str = ""
    version: int | str = 1
    key_identifier: str = ""
    max_key_suffix_length: int | None = None
    hash_suffix_on_overflow: bool | None = None

    def __post_init__(self) -> None:
        length = self.max_key_suffix_length
        self._check("namespace", "text", isinstance(self.namespace, str))
        self._check("key_identifier", "text", isinstance(self.key_identifier, str))
        self._check("version", "an integer or text", is_version(self.version))
        self._check(
            "max_key_suffix_length",
            "a positive integer or None",
            length is None or (type(length) is int and length > 0),
        )
        chosen = self.hash_suffix_on_overflow
        fits = chosen is None or type(chosen) is bool
        self._check("hash_suffix_on_overflow", "True or False", fits)

    def _check(self, option: str, expected: str, valid: bool) -> None:
        if not valid:
            raise ConfigurationError(f"{option} must be {expected}, not {getattr(self, option)!r}")


_OPTIONS: Final = tuple(KeyOptions.__dataclass_fields__)


def is_version(version: object) -> bool:
    """Whether something may be a version: an int of at least 0, or text."""
    return (type(version) is int and version >= 0) or (isinstance(version, str) and version != "")


def _collect_fields(cls: type[KeyConstructor]) -> dict[str, KeyField]:
    fields: dict[str, KeyField] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, KeyField):
                if name == "Meta" or hasattr(KeyConstructor, name):
                    raise ConfigurationError(
                        f"{cls.__name__}.{name}: this name is taken; rename it"
                    )
                fields[name] = value
            elif isinstance(value, type) and issubclass(value, KeyField):
                raise ConfigurationError(f"{cls.__name__}.{name}: write {value.__name__}(...)")
            elif name in fields and value is None:
                del fields[name]
            elif name in fields:
                raise ConfigurationError(
                    f"{cls.__name__}.{name} replaces a key field: give a key field, or None to "
                    f"remove it, not {value!r}"
                )
    return fields


def _collect_options(cls: type[KeyConstructor]) -> KeyOptions:
    given: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        for meta in reversed(getattr(vars(base).get("Meta"), "__mro__", ())):
            given |= {name: value for name, value in vars(meta).items() if name[:2] != "__"}
    _check_options(f"{cls.__name__}.Meta", given)
    return KeyOptions(**given)


def _check_options(owner: str, given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in _OPTIONS:
            close = difflib.get_close_matches(name, _OPTIONS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(_OPTIONS)}"
            raise ConfigurationError(f"{owner} has no option {name!r}; {hint}")


class KeyConstructor:
    """The base of key constructors. Class attributes that are key fields build the key, in order.

    A subclass inherits fields and, option by option, `Meta`; it may replace a field, or remove
    it with None. With several bases both follow the method resolution order. Raising `version` is
    all it takes to leave the entries of older versions behind: nothing finds them any more, and
    they expire.

        class UserKey(KeyConstructor):
            user = ArgsKeyField("user_id", partition=True)

            class Meta:
                namespace = "users"
    """

    key_fields: ClassVar[Mapping[str, KeyField]] = {}
    key_options: ClassVar[KeyOptions] = KeyOptions()
    _wrappers: ClassVar[WeakSet[Any]] = WeakSet()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._wrappers = WeakSet()
        cls.key_fields = _collect_fields(cls)
        cls.key_options = _collect_options(cls)

    @classmethod
    def register_wrapper(cls, wrapper: Any) -> None:
        """Note a cached function that uses this constructor; it is held weakly.

        Args:
            wrapper: Has `delete_by_prefix` and `invalidate_all`, or, if it is a coroutine
                function or its attribute `asynchronous` is true, their twins with an `a`; for
                `awipe` the twins always.
        """
        cls._wrappers.add(wrapper)

    @classmethod
    def wrappers(cls) -> list[Any]:
        """The living cached functions that use this constructor or a subclass of it."""
        found = list(cls._wrappers)
        for subclass in cls.__subclasses__():
            found += (each for each in subclass.wrappers() if each not in found)
        return found

    @classmethod
    def wipe(cls, *args: Any, **kwargs: Any) -> int:
        """Drop what all functions with this constructor, or a subclass, have stored.

        Args:
            *args: As for `delete_by_prefix`; with no arguments everything is dropped.
            **kwargs: As for `delete_by_prefix`.

        Returns:
            The number of functions.

        Raises:
            ExceptionGroup: Some of them failed; the others are done.
        """
        errors: list[Exception] = []
        wrappers = cls.wrappers()
        for wrapper in wrappers:
            try:
                _drop(wrapper, args, kwargs)
            except Exception as error:
                errors.append(error)
        return _wiped(cls, len(wrappers), errors)

    @classmethod
    async def awipe(cls, *args: Any, **kwargs: Any) -> int:
        """`wipe`, without blocking the event loop."""
        wrappers = cls.wrappers()
        work = (_adrop(wrapper, args, kwargs) for wrapper in wrappers)
        results = await asyncio.gather(*work, return_exceptions=True)
        errors = [each for each in results if isinstance(each, Exception)]
        return _wiped(cls, len(wrappers), errors)


class DefaultKeyConstructor(KeyConstructor):
    """All arguments of the function; what is used where no key is given."""

    arguments = ArgsKeyField("*")


def InlineKeyConstructor(  # noqa: N802 - reads like the class that it returns
    fields: Mapping[str, KeyField], **options: Any
) -> type[KeyConstructor]:
    """Make a key constructor without writing a class; the same call returns the same one.

    Args:
        fields: Key fields by name, in order.
        **options: As in `Meta`: `version`, `namespace`, `key_identifier`,
            `max_key_suffix_length`, `hash_suffix_on_overflow`.

    Raises:
        ConfigurationError: An option is unknown or wrong, or something is not a key field.
    """
    if not isinstance(fields, Mapping):
        raise ConfigurationError(f"fields must be a dict of key fields, not {fields!r}")
    for name, field in fields.items():
        if not isinstance(name, str):
            raise ConfigurationError(f"key fields have texts as names, not {name!r}")
        if not isinstance(field, KeyField):
            raise ConfigurationError(f"fields[{name!r}] must be a key field, not {field!r}")
    _check_options("InlineKeyConstructor", options)
    return _inline(tuple(fields.items()), replace(KeyOptions(), **options))


@lru_cache(maxsize=512)
def _inline(fields: tuple[tuple[str, KeyField], ...], options: KeyOptions) -> type[KeyConstructor]:
    meta = {name: getattr(options, name) for name in _OPTIONS}
    return type("InlineKey", (KeyConstructor,), {**dict(fields), "Meta": type("Meta", (), meta)})


def as_constructor(value: Any) -> type[KeyConstructor]:
    """Accept every way to say how keys are built.

    Args:
        value: A key constructor, an instance of one, a key field, a dict of key fields, a dict as
            `InlineKeyConstructor` takes keywords (with "fields"), or None for all arguments.

    Raises:
        ConfigurationError: It is none of these.
    """
    if value is None:
        return DefaultKeyConstructor
    if isinstance(value, KeyConstructor):
        return type(value)
    if isinstance(value, type) and issubclass(value, KeyConstructor):
        return value
    if isinstance(value, Mapping):
        if "fields" in value and not isinstance(value["fields"], KeyField):
            return InlineKeyConstructor(**value)
        return InlineKeyConstructor(value)
    if isinstance(value, KeyField):
        return InlineKeyConstructor({"key": value})
    raise ConfigurationError(
        f"key must be a KeyConstructor, a key field or a dict of key fields, not {value!r}"
    )


def _drop(wrapper: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Drop what one cached function has stored, also from a thread whose event loop is running."""
    if getattr(wrapper, "asynchronous", False) or iscoroutinefunction(wrapper):
        work = partial(asyncio.run, _adrop(wrapper, args, kwargs))
        with ThreadPoolExecutor(max_workers=1) as pool:
            pool.submit(copy_context().run, work).result()
    elif args or kwargs:
        wrapper.delete_by_prefix(*args, **kwargs)
    else:
        wrapper.invalidate_all()


async def _adrop(wrapper: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if args or kwargs:
        await wrapper.adelete_by_prefix(*args, **kwargs)
    else:
        await wrapper.ainvalidate_all()


def _wiped(cls: type[KeyConstructor], functions: int, errors: list[Exception]) -> int:
    if errors:
        raise ExceptionGroup(f"{cls.__name__}.wipe failed for {len(errors)} functions", errors)
    return functions
