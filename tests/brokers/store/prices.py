"""The cached function of prices."""

from __future__ import annotations

from tests.brokers.store.models import Price
from tiercel import ArgsKeyField, InvalidationRule, cache_result

RULE = InvalidationRule(Price, field_mapping={"product": "product"})


@cache_result(
    key={"product": ArgsKeyField("product", partition=True)}, ttl=600, invalidates_on=[RULE]
)
def price(product: int) -> int:
    """Read a price."""
    return Price.objects.get(pk=product).amount
