"""An application whose processes are looked at from outside: `python -m tests.processes.watched`.

A part is asked for by name. Three rules could drop what `page` has cached.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from tiercel import ArgsKeyField, InvalidationRule, KeyConstructor, cache_result, changed, configure

configure(default=os.environ["WATCHED_URL"])


class PageKey(KeyConstructor):
    user = ArgsKeyField("user", partition=True)
    number = ArgsKeyField("number")


@cache_result(
    key_constructor=PageKey,
    name="watched.page",
    invalidates_on=[
        InvalidationRule("prices", field_mapping=InvalidationRule.ALL, name="everything"),
        InvalidationRule("users", field_mapping={"user": "id"}, name="of a user"),
        InvalidationRule("names", field_mapping={"user": "owner"}, name="of an owner"),
    ],
)
def page(user: int, number: int = 1) -> str:
    return f"page {number} of {user}"


@cache_result(
    name="watched.entry",
    invalidates_on=[InvalidationRule("users", field_mapping={"user": "id"}, name="one entry")],
)
def entry(user: int) -> str:
    return f"entry of {user}"


def fill() -> None:
    """Cache two pages and an entry."""
    page(1)
    page(2)
    entry(1)


def change(source: str) -> None:
    """Report a change of user 1."""
    row = {"id": 1, "owner": 1}
    changed(source, old=row, new=row)


def busy(seconds: str) -> None:
    """Call and drop for so long; say so once everything runs."""
    end, number = time.monotonic() + float(seconds), 0
    fill()
    print("ready", flush=True)
    while time.monotonic() < end and os.getppid() != 1:
        number += 1
        page(number % 5)
        if number % 20 == 0:
            change("users")
        time.sleep(0.01)


PARTS: dict[str, Callable[..., None]] = {"fill": fill, "change": change, "busy": busy}

if __name__ == "__main__":
    for part in sys.argv[1:]:
        name, _, argument = part.partition(":")
        PARTS[name](*filter(None, [argument]))
