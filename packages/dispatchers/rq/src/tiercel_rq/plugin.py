"""What Tiercel finds through the entry point `tiercel.dispatchers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiercel.spi import COMMON_OPTIONS, SPI_VERSION, Dispatcher, DispatcherSpec, hookimpl

OPTIONS = (COMMON_OPTIONS - {"priority"}) | {"at_front", "failure_ttl", "job_timeout", "result_ttl"}
"""What both dispatchers understand. RQ has no priorities: workers take queues in their order."""


def make_rq(options: Mapping[str, Any]) -> Dispatcher:
    """Make a dispatcher for plain RQ; raises `ConfigurationError` for a value that cannot work."""
    from tiercel_rq.dispatcher import RQDispatcher

    return RQDispatcher(**options)


def make_django_rq(options: Mapping[str, Any]) -> Dispatcher:
    """Make a dispatcher for the queues of django-rq; raises as `make_rq` does."""
    from tiercel_rq.dispatcher import DjangoRQDispatcher

    return DjangoRQDispatcher(**options)


@hookimpl
def tiercel_dispatchers() -> list[DispatcherSpec]:
    """Provide `rq` and `django_rq`."""
    plain = OPTIONS | {"connection", "serializer", "timeout"}
    return [
        DispatcherSpec("rq", make_rq, SPI_VERSION, plain, crosses_processes=True),
        DispatcherSpec("django_rq", make_django_rq, SPI_VERSION, OPTIONS, crosses_processes=True),
    ]
