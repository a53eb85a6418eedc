"""A small shop in two versions, whose parts run as processes: `python -m tests.processes.shop`.

Its shared tier is a SQLite file, its queue a folder, its database another folder with one file
for each user. A part is asked for by name and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packages.core.tests import spool
from tiercel import (
    CACHE_MISSING,
    ArgsKeyField,
    Cache,
    InvalidationRule,
    KeyConstructor,
    changed,
    register_plugin,
)
from tiercel.spi import DispatcherSpec, hookimpl, perform_message

PLACE = Path(os.environ["SHOP_PLACE"])
VERSION = int(os.environ.get("SHOP_VERSION", "1"))
QUEUE = PLACE / "queue"


class Plugin:
    @hookimpl
    def tiercel_dispatchers(self) -> list[DispatcherSpec]:
        return [spool.spec()]


register_plugin(Plugin())
cache = Cache(f"sqlite:///{PLACE / 'cache.db'}", name="shop", timeout=60.0)


@dataclass
class User:
    id: int


class UserKey(KeyConstructor):
    user = ArgsKeyField("user_id", partition=True)
    page = ArgsKeyField("page")


class NewUserKey(UserKey):
    """The second version keys on more, so its partitions have other names."""

    kind = ArgsKeyField("page", partition=True)


def rule(**options: Any) -> InvalidationRule:
    """Return a rule that a worker carries out."""
    config = {"folder": str(QUEUE), "dedup_window": 0}
    mapping = {"user_id": "id"}
    return InvalidationRule(
        User, field_mapping=mapping, dispatcher="spool", dispatcher_config=config, **options
    )


def text_of(user: int) -> str:
    return (PLACE / f"user-{user}").read_text()


def profile(user_id: int, page: int = 1) -> str:
    return f"{text_of(user_id)}, page {page}"


def invoices(user_id: int, page: int = 1) -> str:
    return f"invoices of {text_of(user_id)}, page {page}"


def decorate() -> dict[str, Any]:
    """Decorate as each version does: in another order, with rules in other places."""
    if VERSION == 1:
        return {
            "invoices": cache.cached(key=UserKey)(invoices),
            "profile": cache.cached(key=UserKey, invalidates_on=[rule()])(profile),
        }
    rules = [InvalidationRule("prices", field_mapping=InvalidationRule.ALL), rule()]
    return {
        "profile": cache.cached(key=NewUserKey, invalidates_on=rules)(profile),
        "invoices": cache.cached(key=UserKey, invalidates_on=rules)(invoices),
    }


if VERSION == 3:  # a worker that has another part of the code only
    functions: dict[str, Any] = {}
else:
    functions = decorate()


def fill() -> Any:
    """Call everything."""
    return [f(user, page) for f in functions.values() for user in (1, 2) for page in (1, 2)]


def look() -> Any:
    """Say what is cached of the profile of user 1 and 2, and of the invoices of user 1."""
    calls = [("profile", 1, 1), ("profile", 1, 2), ("profile", 2, 1), ("invoices", 1, 1)]
    found = [functions[name].get_cache_only(user, page) for name, user, page in calls]
    return [None if each is CACHE_MISSING else each for each in found]


def change() -> Any:
    """Give user 1 another name, and report it."""
    (PLACE / "user-1").write_text("Zoe")
    changed(User, old=User(1), new=User(1))
    return len(list((QUEUE / "default").glob("*.waiting")))


def work() -> Any:
    """Perform what waits in the queue; what fails stays there."""
    outcomes = []
    for path in sorted((QUEUE / "default").glob("*.waiting")):
        try:
            perform_message(json.loads(path.read_text())["text"])
        except Exception as error:
            outcomes.append(f"{type(error).__name__}: {error}")
        else:
            path.unlink()
            outcomes.append("done")
    return outcomes


if __name__ == "__main__":
    print(json.dumps([globals()[name]() for name in sys.argv[1:]]))
