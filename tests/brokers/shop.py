"""A shop whose prices are cached, and dropped by the workers of some queue.

Its data are files in one folder. Workers import this module; `answer` makes a process of it that
does what it is told through a pipe.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tiercel import ArgsKeyField, Cache, CachedFunction, InvalidationRule, KeyConstructor, changed

FOLDER = Path(os.environ["SHOP_FOLDER"])
BY_WORKERS: dict[str, Any] = json.loads(os.environ["SHOP_RULES"])
"""Options of all rules: which dispatcher, and how it is configured."""

PATIENCE = 120.0

cache = Cache(os.environ["SHOP_CACHE"], name="shop", timeout=60.0)


def note(line: str) -> None:
    """Append to the journal; lines of several processes do not mix."""
    with (FOLDER / "journal").open("ab", buffering=0) as journal:
        journal.write(f"{line}\n".encode())


def drop_slowly(wrapper: CachedFunction[..., Any, Any], instance: Mapping[str, Any]) -> None:
    """Wait until the test opens the gate, then drop."""
    note(f"begun {os.getpid()}")
    deadline = time.monotonic() + PATIENCE
    while not (FOLDER / "gate").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the gate was never opened")
        time.sleep(0.01)
    wrapper.delete_by_prefix(product=instance["id"])
    note("ended")


def drop_only_later(wrapper: CachedFunction[..., Any, Any], instance: Mapping[str, Any]) -> None:
    """Fail until the test opens the gate, then drop."""
    note("tried")
    if not (FOLDER / "gate").exists():
        raise RuntimeError("the gate is closed")
    wrapper.delete_by_prefix(product=instance["id"])


class ProductKey(KeyConstructor):
    product = ArgsKeyField("product", partition=True)


PRICE = InvalidationRule("price", field_mapping={"product": "id"}, **BY_WORKERS)
STOCK = InvalidationRule("stock", invalidator=drop_slowly, **BY_WORKERS)
RATING = InvalidationRule("rating", invalidator=drop_only_later, **BY_WORKERS)


@cache.cached(key=ProductKey, ttl=600, invalidates_on=[PRICE], **BY_WORKERS)
def price(product: int) -> str:
    """Read a price."""
    note("computed")
    return (FOLDER / f"price-{product}").read_text()


@cache.cached(key=ProductKey, ttl=600, invalidates_on=[STOCK])
def stock(product: int) -> str:
    """Read how many there are."""
    return (FOLDER / f"stock-{product}").read_text()


@cache.cached(key=ProductKey, ttl=600, invalidates_on=[RATING])
def rating(product: int) -> str:
    """Read how much customers like it."""
    return (FOLDER / f"rating-{product}").read_text()


if every := os.environ.get("SHOP_REFRESHES_EVERY"):
    price.refresh_every(float(every), 1)

FUNCTIONS: dict[str, Callable[[int], str]] = {"price": price, "stock": stock, "rating": rating}


def read(what: str) -> str:
    """Ask one of the cached functions for the first product."""
    return FUNCTIONS[what](1)


def write(what: str, value: str) -> None:
    """Change the data of the first product and report it."""
    (FOLDER / f"{what}-1").write_text(value)
    changed(what, new={"id": 1})


COMMANDS: dict[str, Callable[..., str | None]] = {"read": read, "write": write}


def answer(line: Connection) -> None:
    """Answer commands until there are no more; each answer says how many seconds it took."""
    while True:
        try:
            command, *arguments = line.recv()
        except EOFError:
            return
        start = time.perf_counter()
        found = COMMANDS[command](*arguments)
        line.send((found, time.perf_counter() - start))
