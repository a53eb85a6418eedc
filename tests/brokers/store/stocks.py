"""The cached function of stocks, which older versions of the store do not have."""

from __future__ import annotations

import os

from tests.brokers.store.models import Stock
from tiercel import ArgsKeyField, InvalidationRule, cache_result

RULE = InvalidationRule(Stock, field_mapping={"product": "product"})

if os.environ.get("STORE_VERSION") != "old":

    @cache_result(
        key={"product": ArgsKeyField("product", partition=True)}, ttl=600, invalidates_on=[RULE]
    )
    def stock(product: int) -> int:
        """Read how many there are."""
        return Stock.objects.get(pk=product).amount
