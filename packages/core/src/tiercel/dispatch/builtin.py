"""The dispatchers that core brings."""

from __future__ import annotations

from tiercel.contracts.dispatcher import DispatcherSpec
from tiercel.contracts.version import SPI_VERSION
from tiercel.dispatch.aio import AsyncioDispatcher
from tiercel.dispatch.inline import InlineDispatcher
from tiercel.dispatch.threadpool import ThreadPoolDispatcher

BUILTIN_DISPATCHERS = (
    DispatcherSpec("inline", lambda options: InlineDispatcher(), SPI_VERSION),
    DispatcherSpec(
        "threadpool",
        lambda options: ThreadPoolDispatcher(**options),
        SPI_VERSION,
        frozenset({"max_queue", "max_workers", "shutdown_timeout", "when_full"}),
    ),
    DispatcherSpec("asyncio", lambda options: AsyncioDispatcher(), SPI_VERSION),
)
