"""Where bulletins are kept: entries of a function with an index, in the shared tier of a cache."""

from __future__ import annotations

from typing import Any, Final

from tiercel.cached import CachedFunction
from tiercel.contracts.backend import Capability, Scope
from tiercel.keys.constructor import KeyConstructor
from tiercel.keys.fields import ArgsKeyField
from tiercel.keys.layout import call_to_all
from tiercel.policy import make_policy
from tiercel.settings import Home, Settings

LIFE: Final = 10.0
"""Seconds that a bulletin can be read."""

MOST: Final = 2000
"""Bulletins that are listed at a time, of all processes together."""

NAME: Final = "bulletins"


class BulletinKey(KeyConstructor):
    """The key of a bulletin."""

    process = ArgsKeyField("process")
    number = ArgsKeyField("number")


def _bulletin(process: str, number: int) -> bytes:
    raise LookupError(f"process {process} has published no bulletin {number}")


def board_of(home: Home) -> CachedFunction[Any, Any, bytes]:
    """Return the function whose entries are the bulletins of a cache; nobody observes it."""
    policy = make_policy(NAME, ttl=LIFE, tiers="shared")
    settings = Settings(BulletinKey, policy, name=NAME, index=MOST)
    return CachedFunction(_bulletin, settings, lambda: home)


def can_publish(home: Home) -> bool:
    """Tell whether bulletins can be listed in the shared tier of a cache."""
    backend = home.engine.backend
    return backend is not None and backend.capabilities >= {Capability.INDEX, Capability.ATOMIC}


def call_to_watch(home: Home) -> Scope:
    """Return the scope whose drop tells all processes that somebody watches."""
    return Scope(call_to_all(home.prefix, "watch"))
