"""What the engine's generators yield, besides the commands for a shared tier.

A generator yields an effect and is resumed with its result, or with the exception it raised. It
does no input or output, reads no environment and never sleeps by itself; so tests can step it
through any interleaving.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from tiercel.contracts.backend import Command
from tiercel.contracts.dispatcher import Dispatcher, Task
from tiercel.engine.signal import Signal


class Run(Struct, frozen=True, gc=False):
    """Call the user's code; awaited if `asynchronous`."""

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    asynchronous: bool = False


class Await(Struct, frozen=True, gc=False):
    """Wait until the signal is set; replies False after `timeout` seconds without it."""

    signal: Signal
    timeout: float


class Detach(Struct, frozen=True, gc=False):
    """Run a generator so that a cancelled caller does not cancel it; replies its result.

    Where an event loop ends before the generator has begun, `abandoned` is called in its place.
    """

    steps: Generator[Any, Any, Any]
    abandoned: Callable[[], None]


class Launch(Struct, frozen=True, gc=False):
    """Start a generator and go on at once; it says by itself how it ended, and raises nothing.

    Where an event loop ends before the generator has begun, `abandoned` is called in its place.
    """

    steps: Generator[Any, Any, Any]
    abandoned: Callable[[], None]


class Gather(Struct, frozen=True, gc=False):
    """Run several generators, at once where that is possible; replies their results in order."""

    all: Sequence[Generator[Any, Any, Any]]


class Enqueue(Struct, frozen=True, gc=False):
    """Hand a task to a dispatcher."""

    dispatcher: Dispatcher
    task: Task


class Listen(Struct, frozen=True, gc=False):
    """Make sure that wakes from other processes arrive here before going on."""

    open: Callable[[], None]


Effect = Command[Any] | Run | Await | Detach | Launch | Gather | Enqueue | Listen

Result = TypeVar("Result")
Steps = Generator[Effect, Any, Result]
"""A decision of the engine: yields effects, returns a `Result`."""
