"""What a mutant is: the engine or the shared tier done wrong, in one way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from msgspec import Struct

from tiercel.testing import SimulatedBackend

Patch = tuple[Any, str, Any]


class Mutant(Struct, frozen=True):
    """One wrong variant.

    Attributes:
        name: What is wrong.
        hole: Which hole of the protocol's table that opens.
        scene: The scenario that must give it away.
        promise: Which promise it breaks there.
        backend: The shared tier, if that is what is wrong.
        patches: What else is replaced: owner, attribute, replacement.
        seed: In which order the scene is played; what decides how soon, not whether, it shows.
    """

    name: str
    hole: str
    scene: str
    promise: str
    backend: type[SimulatedBackend] = SimulatedBackend
    patches: Sequence[Patch] = ()
    seed: int | None = None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the engine be wrong for a while."""
        with ExitStack() as stack:
            for owner, name, replacement in self.patches:
                stack.enter_context(patch.object(owner, name, replacement))
            yield
