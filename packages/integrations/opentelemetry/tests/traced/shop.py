"""The cached function, dropped and computed again by whatever worker there is."""

from __future__ import annotations

import os
from pathlib import Path

from tiercel import ArgsKeyField, Cache, InvalidationRule

DISPATCHER = os.environ["SHOP_DISPATCHER"]
CONFIG = {"queue": "prices"}
if DISPATCHER == "rq":
    CONFIG["connection"] = os.environ["SHOP_BROKER"]

RULE = InvalidationRule(
    "shop.Product",
    name="price changed",
    field_mapping={"product": "id"},
    rewarm=True,
    dispatcher=DISPATCHER,
    dispatcher_config=CONFIG,
)

cache = Cache(os.environ["SHOP_CACHE"], name="shop", timeout=60.0)


@cache.cached(
    name="shop:price",
    key={"product": ArgsKeyField("product", partition=True)},
    ttl=600,
    index=True,
    invalidates_on=[RULE],
)
def price(product: int) -> str:
    """Read what is true."""
    return Path(os.environ["SHOP_TRUTH"]).read_text()
