"""The task that a worker runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from celery import Celery, shared_task
from celery.exceptions import Reject, Retry

from tiercel.spi import BadMessage, Retries, perform_message
from tiercel_celery.publisher import publisher_of

logger = logging.getLogger("tiercel.dispatch")

NAME = "tiercel.perform"

HEADER = "tiercel_retries"
"""Header of a message that says how it is to be retried; Celery knows this only of the worker."""

VISIBILITY_TIMEOUT = 3600.0
"""Seconds after which Celery's Redis transport takes a message for lost, unless configured."""


def as_header(retries: Retries) -> dict[str, Any]:
    """Return the headers of a message that is to be retried so."""
    values = (retries.max_retries, retries.min_backoff, retries.max_backoff)
    return {HEADER: list(values)}


def _perform(self: Any, text: str) -> None:
    """Perform the task that `text` describes; sends it again if it fails."""
    try:
        perform_message(text)
    except BadMessage:
        raise
    except Exception as error:
        _retry(self, text, error)


perform: Any = shared_task(
    _perform,
    bind=True,
    name=NAME,
    serializer="json",
    ignore_result=True,
    acks_late=True,  # a worker that dies has not acknowledged
    reject_on_worker_lost=True,
    acks_on_failure_or_timeout=False,  # rejected for good, so that RabbitMQ keeps a dead letter
)


def _retry(task: Any, text: str, error: Exception) -> NoReturn:
    """Send a task that failed again, or give it up.

    Celery's own `retry` publishes without confirmation, and loses the task if that fails.
    """
    request = task.request
    retries = _retries(request.headers)
    attempt = request.retries + 1
    if request.is_eager or request.called_directly or attempt > retries.max_retries:
        logger.error("%s is given up after %d retries", request.shadow, request.retries)
        raise error
    delay = min(retries.delay(attempt), _longest_delay(task.app))
    try:
        publisher_of(task.app).publish(
            task,
            text,
            countdown=delay,
            retries=attempt,
            task_id=request.id,
            shadow=request.shadow,
            argsrepr=request.argsrepr,
            headers=as_header(retries),
            **_where_it_came_from(request.delivery_info),
        )
    except Exception as trouble:
        logger.exception("%s failed and cannot be sent again; it is put back", request.shadow)
        time.sleep(delay)
        raise Reject(trouble, requeue=True) from error
    raise Retry(exc=error, when=delay)


def _retries(headers: Mapping[str, Any] | None) -> Retries:
    values = (headers or {}).get(HEADER)
    return Retries(*values) if values else Retries()


def _where_it_came_from(delivery: Mapping[str, Any]) -> dict[str, Any]:
    exchange, key = delivery.get("exchange"), delivery.get("routing_key")
    where = {"exchange": exchange, "routing_key": key} if exchange else {"queue": key}
    return where | {"priority": delivery.get("priority")}


def _longest_delay(app: Celery) -> float:
    """Return how long a worker may hold a message back.

    On Redis another worker would get it as well once the visibility timeout has passed.
    """
    if app.connection_for_write().transport.driver_type != "redis":
        return float("inf")
    options: Mapping[str, Any] = app.conf.broker_transport_options or {}
    return float(options.get("visibility_timeout", VISIBILITY_TIMEOUT)) / 2
