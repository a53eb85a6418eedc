"""Key plans: a key constructor compiled for one function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Final

from tiercel.contracts.backend import Key, Scope
from tiercel.contracts.key_field import ABSENT, Target
from tiercel.errors import ConfigurationError
from tiercel.keys.constructor import as_constructor
from tiercel.keys.encoding import ENCODERS, Encoders
from tiercel.keys.layout import Layout, make_layout
from tiercel.keys.names import name_of
from tiercel.keys.parts import PlannedField, plan_field
from tiercel.keys.source import compile_key

_EMPTY: Final[dict[Any, Any]] = {Parameter.VAR_POSITIONAL: (), Parameter.VAR_KEYWORD: {}}


@dataclass(frozen=True, slots=True, eq=False)
class KeyPlan:
    """How keys of one function are built.

    Attributes:
        key: Takes the arguments of a call and returns its key. Raises TypeError as the function
            would for a call that does not fit, and `UnkeyableValue`.
        function: The function's name.
        signature: Its signature.
        fields: The fields, in order, for explanations.
        partition: Those by which entries are dropped together.
        exact: There is no partition: entries can be dropped one by one or all together only.
        fast_arguments: The parameters that the key depends on, if it depends on nothing else and
            they go into it as they are; else None.
        fast_partition: The same for the partition; empty without partition.
        readable_template: The shape of the keys, with names instead of values.
        layout: The fixed parts of the keys.
    """

    key: Callable[..., Key]
    function: str
    signature: inspect.Signature
    fields: tuple[PlannedField, ...]
    partition: tuple[PlannedField, ...]
    exact: bool
    fast_arguments: tuple[str, ...] | None
    fast_partition: tuple[str, ...] | None
    readable_template: str
    layout: Layout

    def scope(self) -> Scope:
        """What covers all entries of the function."""
        return Scope(self.layout.scope())

    def partition_scope(self, /, *args: Any, **kwargs: Any) -> Scope:
        """The smallest scope that holds every entry with these arguments.

        Args:
            *args: Some of the function's arguments, as in a call; none: all entries. Defaults
                do not count as given.
            **kwargs: The same.

        Raises:
            TypeError: The arguments do not fit the function, or do not say which partition.
            UnkeyableValue: An argument has no text.
        """
        if not args and not kwargs:
            return self.scope()
        try:
            given = self.signature.bind_partial(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{self.function}: {error}") from None
        texts, used = list[str](), False
        for field in self.partition:
            arguments = self._arguments_of(field, given)
            if arguments is None:
                break
            texts.append(field.text(arguments))
            used = used or any(name in given for name in arguments)
        if not used:
            raise TypeError(self._no_partition(given))
        name = self.layout.scope(self.layout.partition(texts))
        return Scope(name, self.layout.partition(texts[:1]))

    def leading_scope(self, *values: Any) -> Scope:
        """The scope of the first partition fields, by their values instead of by arguments.

        Raises:
            ConfigurationError: There are fewer partition fields, or one has several values.
        """
        texts = []
        for number, value in enumerate(values):
            parts = self.partition[number].parts if number < len(self.partition) else ()
            if len(parts) != 1:
                raise ConfigurationError(f"{self.function} has no partition that takes {value!r}")
            texts.append(f"{parts[0].name}={parts[0].encode(value)}")
        name = self.layout.scope(self.layout.partition(texts))
        return Scope(name, self.layout.partition(texts[:1]))

    def explain(self, /, *args: Any, **kwargs: Any) -> dict[str, str]:
        """What each field puts into the key of a call, by the field's name."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return {field.name: field.text(bound.arguments) for field in self.fields}

    def _arguments_of(self, field: PlannedField, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """The arguments of a field, or None if what was given leaves its value open."""
        found: dict[str, Any] = {}
        for name in field.arguments:
            kind = self.signature.parameters[name].kind
            if name not in given and kind not in _EMPTY:
                return None
            found[name] = given[name] if name in given else _EMPTY[kind]
        if found and not any(name in given for name in found):
            return None
        return None if self._lacks_keyword(field, found) else found

    def _lacks_keyword(self, field: PlannedField, found: Mapping[str, Any]) -> bool:
        """Whether a field looks for a name in `**kwargs` that was not given."""
        return any(
            part.extract is not None
            and self.signature.parameters[name].kind is Parameter.VAR_KEYWORD
            and part.extract(*(found[each] for each in part.arguments)) is ABSENT
            for part in field.parts
            for name in part.arguments
        )

    def _no_partition(self, given: Mapping[str, Any]) -> str:
        names = ", ".join(given) or "these arguments"
        if self.exact:
            return (
                f"{self.function} has no partition, so {names} cannot drop some of its entries: "
                "mark key fields with partition=True, or pass nothing to drop all"
            )
        fields = ", ".join(f"{each.name} ({', '.join(each.arguments)})" for each in self.partition)
        needed = ", ".join(f"{name}=" for name in self.partition[0].arguments)
        return (
            f"{names} of {self.function} says no partition to drop; its partition fields are "
            f"{fields}: pass {needed or 'nothing, to drop all'}"
        )


def function_name(target: Callable[..., Any]) -> str:
    """The name of a function in keys: `module:qualname`."""
    function = inspect.unwrap(target)
    if not hasattr(function, "__qualname__"):
        raise ConfigurationError(f"{target!r} has no name of its own: give it one with name=")
    return name_of(function)


def compile_plan(
    constructor: Any,
    target: Callable[..., Any],
    *,
    function: str | None = None,
    prefix: str = "tiercel",
    version: str | int | None = None,
    encoders: Encoders = ENCODERS,
    request: Callable[[], Any] | None = None,
) -> KeyPlan:
    """Compile a key constructor for a function.

    Args:
        constructor: Whatever `as_constructor` accepts.
        target: The function, unbound: `self` is one of its parameters.
        function: Its name in keys; None: `module:qualname`.
        prefix: First part of every key of the cache.
        version: Instead of the constructor's version; None: that one.
        encoders: Types that integrations have added.
        request: Returns the request that is being answered, where the function is a view.

    Raises:
        ConfigurationError: A field does not fit the function, or an option is wrong.
    """
    chosen = as_constructor(constructor)
    name = function_name(target) if function is None else function
    signature = _signature(target, name)
    planned = [
        plan_field(
            field, Target(name, signature, attribute, chosen.__qualname__, request), encoders
        )
        for attribute, field in chosen.key_fields.items()
    ]
    fields = tuple(each for each in planned if each is not None)
    partition = tuple(each for each in fields if each.field.partition)
    labels = [each.label for each in partition]
    layout = make_layout(prefix, name, version, chosen.key_options, labels)
    return KeyPlan(
        key=compile_key(target, signature, layout, fields),
        function=name,
        signature=signature,
        fields=fields,
        partition=partition,
        exact=not partition,
        fast_arguments=_fast(fields, signature),
        fast_partition=_fast(partition, signature),
        readable_template=_template(layout, fields, prefix),
        layout=layout,
    )


def _signature(target: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        return inspect.signature(target)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{name} has no signature that Python can see, so it has no keys: wrap it in a function"
        ) from error


def _fast(fields: Sequence[PlannedField], signature: inspect.Signature) -> tuple[str, ...] | None:
    """The arguments that fields depend on, if that is all and they are taken as they are."""
    names: dict[str, None] = {}
    for part in (part for field in fields for part in field.parts):
        kinds = {signature.parameters[name].kind for name in part.arguments}
        if part.extract is not None or kinds & _EMPTY.keys():
            return None
        names |= dict.fromkeys(part.arguments)
    return tuple(names)


def _template(layout: Layout, fields: Sequence[PlannedField], prefix: str) -> str:
    partition = [f"{{{each.label}}}" for each in fields if each.field.partition]
    suffix = ",".join(f"{{{each.label}}}" for each in fields if not each.field.partition)
    return ":".join([layout.head.removeprefix(f"{prefix}:"), *partition, suffix])
