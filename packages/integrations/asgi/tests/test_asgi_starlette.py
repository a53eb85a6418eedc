"""Cached views of Starlette: classes, files, streams, background tasks, request.state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route

from tiercel import Cache, cached_view
from tiercel.testing.clients import AsgiClient
from tiercel_asgi import TiercelMiddleware
from tiercel_asgi.requests import AsgiRequest


def client_of(*routes: Any) -> AsgiClient:
    """A client of an application with the middleware."""
    return AsgiClient(Starlette(routes=routes, middleware=[Middleware(TiercelMiddleware)]))


def test_method_when_it_names_no_request_then_that_of_its_endpoint_counts(cache: Cache) -> None:
    """A cached part of an endpoint is told apart by the request, and by its class."""

    class Part:
        @cached_view(["path"], cache=cache, name="run")
        async def run(self) -> JSONResponse:
            return JSONResponse(type(self).__name__)

    class One(Part, HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return await self.run()

    class Other(One):
        pass

    with client_of(Route("/{a}/one", One), Route("/{a}/other", Other)) as client:
        bodies = [client.get(each).body for each in ("/x/one", "/x/other", "/x/one", "/y/one")]
        hits = [client.get(each).is_hit for each in ("/x/one", "/x/other", "/z/one")]
    assert bodies == [b'"One"', b'"Other"', b'"One"', b'"One"']
    assert hits == [True, True, False]


def test_object_when_it_has_a_request_then_that_counts(cache: Cache) -> None:
    """A view of a class of one's own finds the request at `self.request`, without middleware."""

    class View:
        def __init__(self, request: Request) -> None:
            self.request = request

        @cached_view(["path"], cache=cache, name="run")
        async def run(self) -> JSONResponse:
            return JSONResponse(self.request.url.path)

    async def endpoint(request: Request) -> Response:
        return await View(request).run()

    with AsgiClient(Starlette(routes=[Route("/{a}", endpoint)])) as client:
        replies = [client.get(each) for each in ("/x", "/y", "/x")]
    assert [each.body for each in replies] == [b'"/x"', b'"/y"', b'"/x"']
    assert replies[-1].is_hit


def test_skip_attribute_when_the_state_has_it_then_the_cache_is_bypassed(cache: Cache) -> None:
    """`request.state.skip_cache = True` is seen as an attribute of the request is."""
    calls: list[int] = []

    @cached_view(["path"], cache=cache, name="page")
    async def page(request: Request) -> Response:
        calls.append(1)
        return PlainTextResponse(str(len(calls)))

    async def endpoint(request: Request) -> Response:
        if "preview" in request.query_params:
            request.state.skip_cache = True
        return await page(request)

    with client_of(Route("/page", endpoint)) as client:
        asked = [client.get(f"/page{each}").body for each in ("", "?preview", "", "?preview")]
    assert asked == [b"1", b"2", b"1", b"3"]


def test_background_task_when_there_is_a_hit_then_it_does_not_run_again(cache: Cache) -> None:
    """What a view wants done after its response is done when it was rendered."""
    done: list[str] = []

    @cached_view(["path"], cache=cache, name="page")
    async def page(request: Request) -> Response:
        return PlainTextResponse("page", background=BackgroundTask(done.append, "sent"))

    with client_of(Route("/page", page)) as client:
        assert [client.get().body for _ in range(3)] == [b"page"] * 3
    assert done == ["sent"]


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("buffer", [0, 10, 100])
def test_file_when_it_fits_the_buffer_then_it_is_kept(
    cache: Cache, tmp_path: Path, plain: bool, buffer: int
) -> None:
    """A hit has the headers of the file; a longer file, or any without a buffer, passes through."""
    path = tmp_path / "price.txt"
    path.write_text("tea is 3.50 a cup")

    def file(request: Request) -> Response:
        return FileResponse(path)

    async def afile(request: Request) -> Response:
        return file(request)

    view = cached_view(["path"], cache=cache, buffer=buffer, name="file")(file if plain else afile)
    with client_of(Route("/file", view), Route("/plain", file)) as client:
        expected, first = client.get("/plain"), client.get("/file")
        path.write_text("tea is 4.00 a cup")
        second = client.get("/file")
    assert first.body == expected.body
    for name in ("etag", "content-length", "content-type", "last-modified"):
        assert first.header(name) == expected.header(name)
    assert second.body == (first.body if buffer == 100 else b"tea is 4.00 a cup")
    assert second.is_hit is (buffer == 100)


@pytest.mark.parametrize("plain", [True, False])
def test_stream_when_it_is_asynchronous_then_plain_views_keep_it_too(
    cache: Cache, plain: bool
) -> None:
    """A plain view, in its thread, has the loop read what it streams."""
    streamed: list[str] = []

    async def chunks() -> AsyncIterator[str]:
        for each in ("grün, ", "日本"):
            await asyncio.sleep(0)
            streamed.append(each)
            yield each

    def stream(request: Request) -> Response:
        return StreamingResponse(chunks(), media_type="text/plain")

    async def astream(request: Request) -> Response:
        return stream(request)

    chosen = stream if plain else astream
    view = cached_view(["path"], cache=cache, buffer=1000, name="stream")(chosen)
    with client_of(Route("/stream", view)) as client:
        bodies = [client.get("/stream").body.decode() for _ in range(3)]
    assert bodies == ["grün, 日本"] * 3
    assert len(streamed) == 2


def test_stream_when_its_response_may_not_be_kept_then_it_is_sent_whole(cache: Cache) -> None:
    """What was read to be kept is not lost when it turns out to be private."""

    @cached_view(["path"], cache=cache, buffer=1000, name="stream")
    async def stream(request: Request) -> Response:
        response = StreamingResponse(iter([b"one ", b"two"]))
        response.set_cookie("visit", "1")
        return response

    with client_of(Route("/stream", stream)) as client:
        replies = [client.get("/stream") for _ in range(2)]
    assert [each.body for each in replies] == [b"one two"] * 2
    assert all("visit=1" in (each.header("set-cookie") or "") for each in replies)


def test_stream_when_its_kind_sends_itself_in_its_own_way_then_it_passes_through(
    cache: Cache,
) -> None:
    """How such a body looks is known when it is sent, not before."""

    class Shouting(StreamingResponse):
        async def stream_response(self, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            async for chunk in self.body_iterator:
                await send({"type": "http.response.body", "body": str(chunk).upper().encode()})

    @cached_view(["path"], cache=cache, buffer=1000, name="stream")
    async def stream(request: Request) -> Response:
        return Shouting(iter(["tea"]))

    with client_of(Route("/stream", stream)) as client:
        assert [client.get("/stream").body for _ in range(2)] == [b"TEA"] * 2


def test_mounted_application_when_paths_are_alike_then_entries_are_not(cache: Cache) -> None:
    """The path in the key is the whole path, wherever the route stands."""

    @cached_view(["path"], cache=cache, name="page")
    async def page(request: Request) -> Response:
        return PlainTextResponse(f"{request.path_params}")

    shop = Starlette(routes=[Route("/page", page)])
    with client_of(Mount("/a", shop), Mount("/b", shop), Route("/page", page)) as client:
        hits = [client.get(each).is_hit for each in ("/a/page", "/b/page", "/page", "/b/page")]
    assert hits == [False, False, False, True]


def test_query_when_a_path_has_an_escaped_one_then_it_is_a_path(cache: Cache) -> None:
    """`%3F` in a path begins no query."""

    @cached_view(["path"], cache=cache, name="page")
    async def page(request: Request) -> Response:
        return PlainTextResponse(request.scope["path"])

    with client_of(Route("/{rest:path}", page)) as client:
        bodies = [client.get(each).body for each in ("/a%3Fb", "/a%3Fc", "/a?b")]
    assert bodies == [b"/a?b", b"/a?c", b"/a"]


def test_view_when_nothing_but_the_request_is_there_then_it_needs_no_middleware(
    cache: Cache,
) -> None:
    """Views that are given their request do without the middleware."""

    @cached_view(cache=cache, name="page")
    async def page(request: Request) -> Response:
        return PlainTextResponse("page")

    with AsgiClient(Starlette(routes=[Route("/page", page)])) as client:
        assert [client.get().is_hit for _ in range(2)] == [False, True]


def test_request_when_its_like_was_a_hit_before_then_its_headers_still_count(cache: Cache) -> None:
    """The shortest way to a hit knows what a response varies with, conditions and the host."""

    @cached_view(cache=cache, name="page")
    async def page(request: Request) -> Response:
        said = f"{request.headers['host']} {request.headers.get('accept-language')}"
        return PlainTextResponse(said, headers={"Vary": "Accept-Language"})

    with client_of(Route("/page", page)) as client:
        known = [client.get(Accept_Language="en") for _ in range(4)][-1]
        assert known.is_hit
        other = client.get(Accept_Language="de")
        assert (other.body, other.is_hit) == (b"example.com de", False)
        other = client.get(Accept_Language="en", Host="example.org")
        assert (other.body, other.is_hit) == (b"example.org en", False)
        other = client.get(Accept_Language="en", X_Forwarded_Host="evil.example")
        assert not other.is_hit
        same = client.get(Accept_Language="en", If_None_Match=known.header("etag") or "")
        assert (same.status, same.body) == (304, b"")
        assert client.send("/page", "HEAD", [("Accept-Language", "en")]).body == b""
        assert client.get(Accept_Language="en").body == b"example.com en"


@pytest.mark.parametrize(("session", "touched"), [(None, False), ({}, False), ({"a": 1}, True)])
def test_session_when_nobody_notes_its_use_then_one_that_is_not_empty_counts(
    session: dict[str, Any] | None, touched: bool
) -> None:
    """Sessions of other makers are plain dicts, and who looked at one is not known."""
    scope: dict[str, Any] = {"type": "http", "headers": []}
    if session is not None:
        scope["session"] = session
    assert AsgiRequest(Request(scope)).session_touched is touched


def test_host_when_none_was_sent_then_the_server_is_it() -> None:
    """As HTTP/1.0 has it, and tests."""
    scope: dict[str, Any] = {"type": "http", "headers": []}
    assert AsgiRequest(Request({**scope, "server": ("Tea", 80)})).host == "tea:80"
    assert AsgiRequest(Request({**scope, "server": ("/run/sock", None)})).host == "/run/sock"
    assert AsgiRequest(Request(scope)).host == ""


def test_headers_when_a_response_is_a_hit_then_middleware_finds_them(cache: Cache) -> None:
    """ASGI wants names in lower case; what the cache adds is no exception."""

    @cached_view(cache=cache, name="page")
    async def page(request: Request) -> Response:
        return PlainTextResponse("page", headers={"Vary": "Accept"})

    with client_of(Route("/page", page)) as client:
        replies = [client.get() for _ in range(4)]
    assert replies[-1].is_hit
    for reply in replies:
        assert [name for name, _ in reply.headers if name != name.lower()] == []
