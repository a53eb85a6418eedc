"""What a dispatcher may promise beyond what all of them do."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])


class Promise(StrEnum):
    """Something that dispatchers differ in; a test of what is not promised is skipped."""

    BACKGROUND = "the caller goes on while a task is performed"
    RETRIES = "a task that failed is performed again, after growing pauses"
    PRIORITIES = "tasks of a higher priority are performed first"
    SURVIVES_KILL = "a task whose worker is killed is performed by another"


def promised(*promises: Promise) -> Callable[[Test], Test]:
    """Mark a test of the kit that applies only to dispatchers which promise this."""

    def mark(test: Test) -> Test:
        test.promises = frozenset(promises)  # type: ignore[attr-defined]
        return test

    return mark
