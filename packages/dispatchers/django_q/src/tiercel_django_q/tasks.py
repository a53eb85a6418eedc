"""What workers run."""

from __future__ import annotations

import logging

from django_q.exceptions import TimeoutException

from tiercel.spi import BadMessage, perform_message
from tiercel_django_q.broker import ClusterQueue
from tiercel_django_q.order import Order

logger = logging.getLogger("tiercel.dispatch")


def perform(given: str) -> None:
    """Do the work of one message; if it fails, order it anew, and let the last failure count.

    django-q2 by itself repeats a failed task at once, later, never or for ever, depending on its
    broker and settings. A try that leaves a new order behind is therefore no failure for it.

    Raises:
        BadMessage: It is no task of Tiercel, and this is its last try.
        UnknownFunction: This worker does not know the function, and this is its last try.
        Exception: The work failed in its last try, or the broker did not take the new order.
    """
    order = Order.read(given)
    try:
        perform_message(order.text)
    except (Exception, TimeoutException) as error:
        if order.is_last:
            raise
        _order_anew(order, error)


def _order_anew(order: Order, error: BaseException) -> None:
    if isinstance(error, BadMessage):
        ClusterQueue().put(order.last())
        return
    logger.warning(
        "%s failed in try %d of %d and is repeated in %g s",
        order.name,
        order.attempt,
        order.max_retries + 1,
        order.pause,
        exc_info=error,
    )
    ClusterQueue().put(order.again(), order.pause)
