"""Bodies of responses that do not have theirs at hand: streams and files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import anyio.from_thread
import anyio.to_thread
from starlette.responses import FileResponse, Response, StreamingResponse

T = TypeVar("T")


def body_of(response: Response) -> bytes | None:
    """Return the body of a response that has one; None if it must be read first."""
    if isinstance(response, (StreamingResponse, FileResponse)):
        return None
    body = getattr(response, "body", None)
    return None if body is None else bytes(body)


async def read(response: Response, limit: int) -> bytes | None:
    """Read the body of a response that streams it.

    The response can be sent as if nobody had read it.

    Args:
        response: The response.
        limit: Bytes up to which it is read.

    Returns:
        The whole body; None if it is longer, or of a kind whose sending is its own affair.
    """
    if isinstance(response, FileResponse):
        return await anyio.to_thread.run_sync(_read_file, response, limit)
    if isinstance(response, StreamingResponse) and _streams_plainly(response):
        return await _read_stream(response, limit)
    return None


def wait_for(function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """Call a coroutine function from a plain one, on the loop that waits for it, if any."""
    try:
        anyio.from_thread.check_cancelled()
    except RuntimeError:  # this is no thread of an event loop's
        return asyncio.run(function(*args))
    return anyio.from_thread.run(function, *args)


def _streams_plainly(response: StreamingResponse) -> bool:
    kind = type(response)
    return (
        kind.__call__ is StreamingResponse.__call__
        and kind.stream_response is StreamingResponse.stream_response
    )


def _read_file(response: FileResponse, limit: int) -> bytes | None:
    with open(response.path, "rb") as file:  # noqa: PTH123 - a path of any kind
        body = file.read(limit + 1)
        if len(body) > limit:
            return None
        response.set_stat_headers(os.fstat(file.fileno()))
    return body


async def _read_stream(response: StreamingResponse, limit: int) -> bytes | None:
    chunks: list[bytes] = []
    size, rest = 0, aiter(response.body_iterator)
    async for chunk in rest:
        chunks.append(chunk.encode(response.charset) if isinstance(chunk, str) else bytes(chunk))
        size += len(chunks[-1])
        if size > limit:
            response.body_iterator = _replayed(chunks, rest)
            return None
    response.body_iterator = _replayed(chunks, None)
    return b"".join(chunks)


async def _replayed(chunks: list[bytes], rest: AsyncIterator[Any] | None) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk
    if rest is not None:
        async for chunk in rest:
            yield chunk
