"""A function with an index, and what its listed calls are."""

from __future__ import annotations

from typing import Any

from packages.core.tests.stages import Stage
from tiercel import ArgsKeyField

USER = {"user": ArgsKeyField("user", partition=True), "page": ArgsKeyField("page")}


def page_of(user: int, page: int = 1) -> str:
    """Be the function; its first argument is its partition."""
    return f"{user}/{page}"


def pages_of(stage: Stage, **options: Any) -> Any:
    """Return it cached, with an index."""
    return stage.cached(page_of, **{"key": USER, "index": True, "ttl": 100, **options})


def flat(calls: Any) -> set[Any]:
    """Return the positional arguments of calls."""
    return {args for args, _ in calls}
