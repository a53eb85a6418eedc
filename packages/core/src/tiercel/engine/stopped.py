"""How a StopIteration of the user's code gets through generators, which raise none (PEP 479)."""

from __future__ import annotations

from typing import Final, TypeVar

Error = TypeVar("Error", bound=BaseException)

IN_COROUTINE: Final = "coroutine raised StopIteration"
"""What Python says where a coroutine would raise one; it makes a RuntimeError of it."""


class Stopped(Exception):
    """Stands for a StopIteration until it has left the generators of the engine.

    Attributes:
        error: What was raised.
    """

    def __init__(self, error: StopIteration) -> None:
        super().__init__(error)
        self.error = error


def throwable(error: Error) -> Error | Stopped:
    """Return what can be raised inside of a generator in place of an error: mostly the same."""
    return Stopped(error) if isinstance(error, StopIteration) else error


def original(error: Error) -> Error | StopIteration:
    """Return what was raised, for whoever is told of an error instead of raising it."""
    return error.error if isinstance(error, Stopped) else error
