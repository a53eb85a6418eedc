"""Responses of Django as they are kept, and as they are sent again."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from tiercel.spi import Frozen, Headers, StoredResponse
from tiercel_django.web.traces import why_never_kept


def freeze(request: Any, response: HttpResponseBase, limit: int) -> Frozen:
    """Render a response, if need be, and return it as it is kept.

    Args:
        request: Django's request.
        response: What a view returned.
        limit: Bytes up to which a streamed body is read; 0: none is.
    """
    response = _rendered(request, response)
    body = _streamed(response, limit) if response.streaming else _content(response)
    return _frozen(request, response, body)


async def afreeze(request: Any, response: HttpResponseBase, limit: int) -> Frozen:
    """Do what `freeze` does; whatever may block does so in a thread."""
    if _is_pending(response):
        response = await sync_to_async(_rendered, thread_sensitive=True)(request, response)
    if not response.streaming:
        body: bytes | None = _content(response)
    elif _is_async(response):
        body = await _astreamed(response, limit)
    else:
        body = await sync_to_async(_streamed, thread_sensitive=True)(response, limit)
    return _frozen(request, response, body)


def thaw(stored: StoredResponse) -> HttpResponse:
    """Return a new response."""
    return thawing(stored.status, stored.headers)(None, stored.body)


def thawing(status: int, headers: Headers) -> Callable[[Any, bytes], HttpResponse]:
    """Return what makes new responses of a status, with these headers, of a body."""
    store = {name.lower(): (name, value) for name, value in headers}
    plain = len(store) == len(headers) and "set-cookie" not in store

    def make(_: Any, body: bytes) -> HttpResponse:
        response = HttpResponse(body, "", status)
        if plain:
            # They were checked when they were set first, which takes longer than all of the rest.
            response.headers._store = store.copy()
        else:
            _dress(response, headers)
        return response

    return make


def _dress(response: HttpResponse, known: Headers) -> None:
    headers = response.headers
    del headers["Content-Type"]  # of its own it has one
    for name, value in known:
        if name.lower() == "set-cookie":
            response.cookies.load(value)
        else:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value


def _frozen(request: Any, response: Any, body: bytes | None) -> Frozen:
    if body is None:
        return Frozen(None, response)
    reason = why_never_kept(request)
    if reason is not None:
        return Frozen(None, response, reason)
    cookies = (("Set-Cookie", each.OutputString()) for each in response.cookies.values())
    headers = (*response.items(), *cookies)
    return Frozen(StoredResponse(response.status_code, headers, body), response)


def _is_pending(response: Any) -> bool:
    return callable(getattr(response, "render", None)) and not response.is_rendered


def _rendered(request: Any, response: Any) -> Any:
    if not _is_pending(response):
        return response
    rest = sys.modules.get("rest_framework.response")
    if rest is not None and isinstance(response, rest.Response):
        from tiercel_django.web.rest import negotiate

        negotiate(request, response)
    return response.render()


def _content(response: Any) -> bytes:
    content: bytes = response.content
    return content


def _is_async(response: Any) -> bool:
    return bool(getattr(response, "is_async", False))


def _streamed(response: Any, limit: int) -> bytes | None:
    """Return the whole body of a stream; None if it is longer than `limit`, and then intact."""
    if not limit or _is_async(response):
        return None
    chunks: list[bytes] = []
    size, rest = 0, iter(response.streaming_content)
    for chunk in rest:
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            response.streaming_content = chain(chunks, rest)
            return None
    return _read(response, chunks)


async def _astreamed(response: Any, limit: int) -> bytes | None:
    """Do what `_streamed` does with an asynchronous stream."""
    if not limit:
        return None
    chunks: list[bytes] = []
    size, rest = 0, aiter(response.streaming_content)
    async for chunk in rest:
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            response.streaming_content = _achain(chunks, rest)
            return None
    return _read(response, chunks)


async def _achain(chunks: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    async for chunk in rest:
        yield chunk


def _read(response: Any, chunks: list[bytes]) -> bytes:
    """Release what a stream was read from, as nobody closes a response that is not sent."""
    for close in response._resource_closers:
        close()
    response._resource_closers.clear()
    response.streaming_content = _once(chunks)
    return b"".join(chunks)


def _once(chunks: list[bytes]) -> Iterator[bytes]:
    yield from chunks
