"""Cached methods bound to their object: light, because each attribute access makes one."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct


class BoundMethod(Struct, eq=False):
    """A cached method together with the object it was taken from.

    Subclass it to add methods: those find the object in `instance`. What it lacks, it takes from
    the function, so that it passes for a bound method with `inspect`.
    """

    instance: Any

    if TYPE_CHECKING:  # What is generated for each function takes its place.

        def __call__(self, /, *args: Any, **kwargs: Any) -> Any: ...

    @property
    def __self__(self) -> Any:
        return self.instance

    def __getattr__(self, name: str) -> Any:
        return getattr(type(self).function, name)  # type: ignore[attr-defined]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.instance is self.instance

    def __hash__(self) -> int:
        return hash((type(self), id(self.instance)))

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.instance, self.__name__)

    def __repr__(self) -> str:
        return f"<bound cached method {self.__qualname__} of {self.instance!r}>"


def bound_class(
    call: Callable[..., Any],
    function: Callable[..., Any],
    target: Callable[..., Any],
    base: type[BoundMethod],
) -> type[BoundMethod]:
    """Make the type of the bound methods of one function.

    Args:
        call: Its `__call__`.
        function: What they take everything else from.
        target: The method that is cached.
        base: What they inherit from.
    """
    signature = inspect.signature(target)
    own = signature.replace(parameters=list(signature.parameters.values())[1:])
    namespace = {
        "__call__": call,
        "__doc__": target.__doc__,
        "__module__": target.__module__,
        "__name__": target.__name__,
        "__signature__": own,
        "function": function,
    }
    bound: type[BoundMethod] = types.new_class(
        f"Bound_{target.__name__}", (base,), exec_body=lambda body: body.update(namespace)
    )
    return bound
