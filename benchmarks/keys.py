"""A compiled key of two ints, beside what decorators commonly do: bind, apply defaults, join."""

from __future__ import annotations

import inspect

from measure import Row, medians

from tiercel.keys.constructor import DefaultKeyConstructor
from tiercel.keys.plan import compile_plan


def _target(tenant: int, item: int, page: int = 1) -> None:
    """What the keys are for."""


def rows() -> list[Row]:
    """Return the comparison."""
    key = compile_plan(DefaultKeyConstructor, _target).key
    signature = inspect.signature(_target)

    def ours() -> object:
        return key(12, 345)

    def theirs() -> object:
        bound = signature.bind(12, 345)
        bound.apply_defaults()
        return ":".join(f"{name}={value}" for name, value in bound.arguments.items())

    timed = medians({"ours": ours, "theirs": theirs}, calls=2000)
    return [Row("compiled key of two ints", timed["ours"], timed["theirs"], "bind + join", 0.1)]
