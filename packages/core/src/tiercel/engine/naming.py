"""Whose a name is among the living functions of one cache.

A function that nobody can call any more is part of cycles, so it lives until the garbage collector
comes by. To call that costs time in proportion to all objects of the process. So it is called for
where the answer matters only, and first of all for what is young, as such functions mostly are.
"""

from __future__ import annotations

import gc
from itertools import count
from typing import Final

from tiercel.engine.state import Engine
from tiercel.errors import ConfigurationError

MANY: Final = 16
"""Functions of one name in memory from which on it is seen to that they are all alive."""


def forget_dead(engine: Engine, name: str) -> None:
    """Free a name of a function that died young, before another one is made.

    Afterwards would be too late: whatever lives while the collector comes by counts as old.
    """
    for generation in (0, 1):
        if not _is_local(name) or name not in engine.named:
            return
        gc.collect(generation)


def claim_name(engine: Engine, name: str, function: object, *, alone: bool) -> str:
    """Make a name a function's own on its cache.

    In memory functions of one name are told apart by a number. A shared tier is another matter:
    there the name must mean the same in every process.

    Args:
        engine: The cache.
        name: The name.
        function: Whose it is to be.
        alone: Whether it has no entries but those in memory.

    Returns:
        The name, in memory perhaps with a number.

    Raises:
        ConfigurationError: Two living lambdas or closures would share entries.
    """
    if _claimed(engine, name, function):
        return name
    if alone:
        return _numbered(engine, name, function)
    if _is_local(name):
        gc.collect()
        if not _claimed(engine, name, function):
            raise ConfigurationError(
                f"another living function is called {name} too, so they would share entries: "
                "give each a name= of its own"
            )
    engine.named[name] = function
    return name


def _is_local(name: str) -> bool:
    return "<locals>" in name or "<lambda>" in name


def _claimed(engine: Engine, name: str, function: object) -> bool:
    return engine.named.setdefault(name, function) is function


def _numbered(engine: Engine, name: str, function: object) -> str:
    """Claim a name with the lowest number that is free.

    The numbers of the dead get free at 16, 32, 64 and so on, so that there are never many more
    names than functions, and many functions do not call the collector each.
    """
    number = _free_number(engine, name)
    if number >= MANY and number.bit_count() == 1:
        gc.collect()
        if _claimed(engine, name, function):
            return name
        number = _free_number(engine, name)
    while not _claimed(engine, f"{name}~{number}", function):
        number += 1  # another thread was faster
    return f"{name}~{number}"


def _free_number(engine: Engine, name: str) -> int:
    return next(each for each in count(2) if f"{name}~{each}" not in engine.named)
