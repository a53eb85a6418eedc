"""What a scene is, and the table of all scenes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec import Struct

from packages.core.tests.races.world import World
from tiercel.testing import SimulatedBackend


class Scenario(Struct, frozen=True):
    """A scene: who acts in it, and what else is special about it.

    Attributes:
        name: What tests call it.
        holes: The holes of the protocol's table that it looks into.
        build: Adds the actors to a world.
        long: Whether it takes too long for every run.
    """

    name: str
    holes: str
    build: Callable[[World], None]
    long: bool

    def world(self, backend: type[SimulatedBackend] = SimulatedBackend) -> World:
        """Set the scene."""
        world = World(backend)
        self.build(world)
        return world


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    holes: str, *names: str, long: bool | str = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a scene; with `names`, one for each, which the scene gets as its argument.

    Args:
        holes: Which holes it looks into.
        *names: What differs.
        long: Whether it takes long, or for which names.
    """

    def register(build: Callable[..., None]) -> Callable[..., None]:
        for name in names or ("",):
            full = "_".join(filter(None, (build.__name__, name)))
            scene = partial(build, what=name) if name else build
            takes_long = name in long.split() if isinstance(long, str) else long
            SCENARIOS[full] = Scenario(full, holes, scene, takes_long)
        return build

    return register


def names(*, long: bool) -> list[str]:
    """Return the names of the scenes that take long, or of those that do not."""
    return [scene.name for scene in SCENARIOS.values() if scene.long is long]
