"""What stands in the keys of a job: its arguments, how it was made, or what it says itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import Parameter
from typing import Any

from tiercel.contracts.key_field import KeyField, Part, Target
from tiercel.jobs.hooks import JOB, OPTIONS, JobHooks, Recipe, job_of, without_job
from tiercel.keys.call_fields import PrefixKeyField
from tiercel.keys.constructor import KeyConstructor, as_constructor
from tiercel.keys.fields import ArgsKeyField

_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class JobKeyField(PrefixKeyField):
    """What the `key` method of a job returns, where a subclass overrides that.

    Args:
        function: What the job fetches.
        owner: The job, or its class.
        lead: What the method gets before the arguments of a call.
    """

    def __init__(
        self, function: Callable[..., Any], owner: Any, lead: tuple[Any, ...] = ()
    ) -> None:
        def key(_: Any, *args: Any, **kwargs: Any) -> Any:
            job: Any = job_of(owner, kwargs)
            return job.key(*lead, *args, **without_job(kwargs))

        super().__init__(function, key)

    def parts(self, target: Target) -> Sequence[Part]:
        return [replace(part, name="key") for part in super().parts(target)]


class RecipeKeyField(KeyField):
    """What a job was made with, as far as that decides what it fetches."""

    def __init__(self, owner: type[JobHooks]) -> None:
        super().__init__()
        self.owner = owner

    def parts(self, target: Target) -> Sequence[Part]:
        return [Part("job", (JOB,), self._identity)]

    def _identity(self, recipe: Recipe | None) -> dict[str, Any]:
        args, kwargs = recipe or ((), {})
        bound = inspect.signature(self.owner.__init__).bind(None, *args, **kwargs)
        bound.apply_defaults()
        _, *given = bound.arguments.items()
        return {name: value for name, value in given if name not in OPTIONS}


def is_made_with_arguments(owner: type[JobHooks]) -> bool:
    """Tell whether jobs of a class can differ in how they are made."""
    return bool(_init_parameters(owner)) or _has_own_recipe(owner)


def fields_of(owner: JobHooks | type[JobHooks], function: Callable[..., Any]) -> Any:
    """Return the key of a job that says nothing about it: all arguments, and how it is made.

    Args:
        owner: The job, or its class.
        function: What it fetches.
    """
    names = [name for name in inspect.signature(function).parameters if name != JOB]
    fields: dict[str, KeyField] = _recipe_fields(owner)
    return fields | ({"arguments": ArgsKeyField(names)} if names else {})


def constructor_of(
    owner: Any, function: Callable[..., Any], given: Any, lead: tuple[Any, ...] = ()
) -> type[KeyConstructor]:
    """Return what builds the keys of a job.

    Args:
        owner: The job, or its class.
        function: What it fetches.
        given: What `key=` says of its arguments; None: nothing.
        lead: What its hooks get before the arguments of a call.
    """
    if given is not None:
        base = as_constructor(given)
        return type("JobKey", (base,), {**_recipe_fields(owner), "Meta": _meta(base)})
    if overrides_key(owner):
        return as_constructor({"key": JobKeyField(function, owner, lead)})
    return type("JobKey", (KeyConstructor,), fields_of(owner, function))


def overrides_key(owner: JobHooks | type[JobHooks]) -> bool:
    """Tell whether a job makes its own keys."""
    kind: Any = owner if isinstance(owner, type) else type(owner)
    return not getattr(kind.key, "is_default", False)


def _meta(base: type[KeyConstructor]) -> type:
    return type("Meta", (vars(base).get("Meta", object),), {})


def _recipe_fields(owner: JobHooks | type[JobHooks]) -> dict[str, KeyField]:
    if not isinstance(owner, type) or not _decides_what_is_fetched(owner):
        return {}
    return {"job": RecipeKeyField(owner)}


def _decides_what_is_fetched(owner: type[JobHooks]) -> bool:
    parameters = _init_parameters(owner)
    variadic = any(each.kind in _VARIADIC for each in parameters)
    return variadic or any(each.name not in OPTIONS for each in parameters)


def _has_own_recipe(owner: type[JobHooks]) -> bool:
    own = owner.get_init_args, owner.get_init_kwargs
    return own != (JobHooks.get_init_args, JobHooks.get_init_kwargs)


def _init_parameters(owner: type[JobHooks]) -> list[Parameter]:
    if owner.__init__ is object.__init__:
        return []
    _, *parameters = inspect.signature(owner.__init__).parameters.values()
    return parameters
