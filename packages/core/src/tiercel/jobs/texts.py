"""Keys of a job as texts: what its `key` returns, and which calls they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tiercel.engine.state import Call, canonical
from tiercel.errors import ConfigurationError
from tiercel.jobs.keys import fields_of, overrides_key
from tiercel.keys.fields import ArgsKeyField

if TYPE_CHECKING:
    from tiercel.jobs.function import JobFunction
    from tiercel.keys.plan import KeyPlan

MANY: Final = 1024
"""Keys that a process remembers the calls of."""


class KeyTexts:
    """The keys that callers were told, of one cached function of a job."""

    def __init__(self, function: JobFunction[Any, Any, Any]) -> None:
        self._function = function
        self._calls: dict[str, Call] = {}
        self._plans: dict[str, KeyPlan] = {}

    def clear(self) -> None:
        """Forget them, as for another cache."""
        self._calls.clear()
        self._plans.clear()

    def text_of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Return the key that a call has wherever its job does not make one itself."""
        function = self._function
        if not overrides_key(function.owner):
            call = function.call(args, kwargs)
            self._calls[call.key.text] = call
            while len(self._calls) > MANY:
                self._calls.pop(next(iter(self._calls)), None)
            return call.key.text
        plan = self._plan("all", fields_of(function.owner, function.func), function.func)
        return plan.key(*args, **kwargs).text

    def call_of(self, text: str) -> Call:
        """Return the call of which only the key is known, as `key` of its job returns it.

        Raises:
            ConfigurationError: It is no key of this job, or none that `key` has returned lately.
        """
        function = self._function
        if not overrides_key(function.owner):
            call = self._calls.get(text)
            if call is None:
                raise ConfigurationError(
                    f"{function.name}: {text!r} is no key that key() of this job has returned "
                    "lately: use set(), with the arguments of the call"
                )
            return call
        if function.settings.tags:
            raise ConfigurationError(
                f"{function.name}: its entries have tags, which a key does not tell: use set(), "
                "with the arguments of the call"
            )
        plan = self._plan("key", {"key": ArgsKeyField("key")}, lambda key: None)
        key = plan.key(text)
        return Call((), {}, key, canonical(key.text))

    def knows(self, text: str) -> bool:
        """Tell whether a text is a key that was asked for lately."""
        return text in self._calls

    def _plan(self, what: str, fields: Any, target: Callable[..., Any]) -> KeyPlan:
        """Return another plan of the same name, compiled once."""
        _ = self._function.subject  # until it is bound, the prefix of the cache is not known
        plan = self._plans.get(what)
        if plan is None:
            plan = self._plans[what] = self._function.planned_as(fields, target)
        return plan
