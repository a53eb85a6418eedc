"""Cached functions and their rules; also the module that `rq worker -c` imports."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiercel import ArgsKeyField, Cache, InvalidationRule

TRUTH = Path(os.environ["SHOP_TRUTH"])
"""A directory: what is cached, and what tells the invalidator how to behave."""

CARRIED = {
    "dispatcher": os.environ["SHOP_DISPATCHER"],
    "dispatcher_config": json.loads(os.environ["SHOP_OPTIONS"]),
}

cache = Cache(os.environ["SHOP_CACHE"], name="shop", timeout=60.0)


def drop_carefully(wrapper: Any, row: Mapping[str, Any]) -> None:
    """Drop a stock, as slowly as told, or fail."""
    with (TRUTH / "tries").open("a") as tries:
        tries.write(f"{time.time()}\n")
    if (TRUTH / "broken").exists():
        raise RuntimeError("the invalidator is broken")
    while (TRUTH / "hold").exists():
        time.sleep(0.02)
    wrapper.delete_by_prefix(item=row["item"])


@cache.cached(
    key={"item": ArgsKeyField("item", partition=True)},
    ttl=600,
    invalidates_on=[InvalidationRule("warehouse.price", field_mapping={"item": "item"}, **CARRIED)],
)
def price(item: int) -> int:
    return int((TRUTH / "price").read_text())


@cache.cached(
    key={"item": ArgsKeyField("item", partition=True)},
    ttl=600,
    invalidates_on=[InvalidationRule("warehouse.stock", invalidator=drop_carefully, **CARRIED)],
)
def stock(item: int) -> int:
    return int((TRUTH / "stock").read_text())
