"""Cached views of Django: what is kept of them, what never is, and what drops them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.template import engines
from django.template.response import TemplateResponse
from django.test import override_settings
from django.urls import path
from django.utils import timezone, translation

from packages.integrations.django.tests.served import SETTINGS, Counting, get, served
from tiercel import (
    Cache,
    CachedResponse,
    KeyConstructor,
    cache_response,
    cached_view,
)
from tiercel.testing import VirtualClock
from tiercel_django import UserKeyField

MESSAGES = [
    *SETTINGS["MIDDLEWARE"],
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]


@pytest.fixture
def cache(virtual_clock: VirtualClock) -> Iterator[Cache]:
    """A cache in memory whose clock stands still."""
    cache = Cache(clock=virtual_clock, name="views")
    yield cache
    cache.close()


# What is never kept


def test_page_when_it_has_a_csrf_token_then_it_is_not_kept(cache: Cache) -> None:
    """Not even for its user: the token belongs to the cookie that comes with it."""
    count = Counting()

    @cached_view(["path"], namespace=lambda request: "ann", cache=cache)
    def form(request: HttpRequest) -> HttpResponse:
        return HttpResponse(f"{count()} {get_token(request)}")

    with served(path("form", form), MIDDLEWARE=MESSAGES) as client:
        first, second = (client.get("/form") for _ in range(2))
    assert (first.body[:2], second.body[:2]) == (b"1 ", b"2 ")
    assert "csrftoken=" in (first.header("set-cookie") or "")
    assert first.body[2:] != second.body[2:]


def test_page_when_it_has_messages_then_it_is_not_kept(cache: Cache) -> None:
    """Those that it shows are for one user, and those that it adds would be lost."""
    count = Counting()

    @cached_view(["path"], namespace=lambda request: "ann", cache=cache)
    def adding(request: HttpRequest) -> HttpResponse:
        messages.info(request, "saved")
        return HttpResponse(count())

    @cached_view(cache=cache)
    def showing(request: HttpRequest) -> HttpResponse:
        shown = [str(each) for each in messages.get_messages(request)]
        return HttpResponse(f"{count()} {shown}")

    patterns = [path("adding", adding), path("showing", showing)]
    with served(*patterns, MIDDLEWARE=MESSAGES) as client:
        adds = [client.get("/adding") for _ in range(2)]
        cookie = (adds[0].header("set-cookie") or "").partition(";")[0]
        shows = [client.get("/showing", Cookie=cookie).body for _ in range(2)]
        plain = [client.get("/showing").body for _ in range(2)]
    assert [each.body for each in adds] == [b"1", b"2"]
    assert shows == [b"3 ['saved']", b"4 ['saved']"]
    assert plain == [b"5 []", b"5 []"]


def test_host_when_it_is_not_allowed_then_django_refuses_the_request(cache: Cache) -> None:
    """Nothing is kept or served under a host that `ALLOWED_HOSTS` does not name."""
    count = Counting()
    view = cached_view(cache=cache)(lambda request: HttpResponse(count()))
    with served(path("page", view), ALLOWED_HOSTS=["example.com"]) as client:
        for _ in range(4):
            assert client.get("/page").status == 200
        assert client.get("/page", Host="evil.example").status == 400
        with override_settings(ALLOWED_HOSTS=["evil.example"]):
            assert client.get("/page").status == 400
    assert count.calls == 1


# What is kept


@pytest.mark.parametrize("asynchronous", [False, True])
def test_template_response_when_it_is_kept_then_it_is_rendered_once(
    cache: Cache, asynchronous: bool
) -> None:
    """By the cache, on a thread of its own if the view is a coroutine function; hooks run."""
    count, rendered = Counting(), []
    template = engines["django"].from_string("{{ count }} of {{ request.path }}")

    def respond(request: HttpRequest) -> TemplateResponse:
        response = TemplateResponse(request, template, {"count": count})
        response.add_post_render_callback(lambda done: rendered.append(done.content))
        return response

    async def arespond(request: HttpRequest) -> TemplateResponse:
        return respond(request)

    view: Any = cached_view(cache=cache)(arespond if asynchronous else respond)
    with served(path("page", view), asgi=asynchronous) as client:
        assert [client.get("/page").body for _ in range(3)] == [b"1 of /page"] * 3
    assert rendered == [b"1 of /page"]


def test_file_when_it_is_short_enough_then_it_is_kept_and_closed(
    cache: Cache, tmp_path: Path
) -> None:
    """Otherwise it is sent as a file, as ever."""
    page = tmp_path / "page.txt"
    opened: list[Any] = []

    def view(request: HttpRequest) -> FileResponse:
        opened.append(page.open("rb"))
        return FileResponse(opened[-1])

    page.write_text("one")
    passed = cached_view(cache=cache, name="passed")(view)
    kept: Any = cached_view(cache=cache, buffer=3, name="kept")(view)
    patterns = [path("passed", passed), path("kept", kept)]
    with served(*patterns) as client:
        assert [client.get(each).body for each in ("/passed", "/kept")] == [b"one"] * 2
        page.write_text("four")
        assert [client.get(each).body for each in ("/passed", "/kept")] == [b"four", b"one"]
        kept.cached_function.invalidate_all()
        assert client.get("/kept").body == b"four"
        hit = client.get("/kept")
    assert (hit.body, hit.header("content-type")) == (b"four", "text/plain")
    assert len(opened) == 5
    assert all(each.closed for each in opened)


def test_stream_when_it_is_asynchronous_then_a_plain_view_passes_it_through(cache: Cache) -> None:
    """It can be read on an event loop only."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"

    def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(chunks())

    async def read() -> bytes:
        response = cached_view(cache=cache, buffer=100)(view)(get())
        return b"".join([chunk async for chunk in response])

    assert asyncio.run(read()) == b"one"


def test_cookie_when_the_page_is_personal_then_it_is_kept_whole(cache: Cache) -> None:
    """With all its attributes; several stay several."""

    @cached_view(["path"], namespace=lambda request: "ann", cache=cache)
    def view(request: HttpRequest) -> HttpResponse:
        response = HttpResponse()
        response.set_cookie("a", "1; 2", max_age=60, httponly=True, samesite="Lax")
        response.set_cookie("b", "x", expires="Wed, 21 Oct 2026 07:28:00 GMT", secure=True)
        return response

    first, second = (view(get()).cookies.output() for _ in range(2))
    assert view(get()).headers["Cache-Status"].startswith("tiercel; hit")
    assert first == second
    assert first.count("Set-Cookie") == 2


@pytest.mark.parametrize("what", ["language", "zone"])
def test_page_when_language_or_zone_differ_then_it_is_another(cache: Cache, what: str) -> None:
    """Whatever has made them active: the header, a cookie, or the user's profile."""
    count = Counting()
    view = cached_view(["path"], cache=cache)(lambda request: HttpResponse(count()))
    activate: Any = translation.override if what == "language" else timezone.override
    names = ("de", "fr") if what == "language" else ("Europe/Paris", "Asia/Tokyo")
    bodies = []
    for name in names * 3:
        with activate(name):
            bodies.append(view(get()).content)
    assert bodies == [b"1", b"2"] * 3


def test_response_when_it_has_a_life_of_its_own_then_it_is_kept_that_long(
    cache: Cache, virtual_clock: VirtualClock
) -> None:
    """And says so to caches further down."""
    count = Counting()

    @cached_view(expiry=60, cache=cache)
    def view(request: HttpRequest) -> Any:
        return CachedResponse(HttpResponse(count()), ttl=5)

    called: Any = view
    assert called(get()).headers["Cache-Control"] == "max-age=5"
    virtual_clock.advance(6)
    assert called(get()).content == b"2"


def test_headers_of_restflow_when_they_are_asked_for_then_they_say_how(cache: Cache) -> None:
    """Also on hits that memory answers by the shortest way."""
    view = cache_response(ttl=60, set_cache_headers=True, cache=cache)(lambda r: HttpResponse("x"))
    found = [view(get()).headers for _ in range(4)]
    assert [each["X-Cache-status"] for each in found] == ["MISS", "HIT", "HIT", "HIT"]
    assert all(each["X-Cached-at"] and each["X-Cache-reset-at"] for each in found)


def test_hooks_when_they_are_coroutines_then_plain_views_take_them_too(cache: Cache) -> None:
    """A namespace and a hook may be either, whatever the view is."""
    seen: list[Any] = []

    async def namespace(request: HttpRequest) -> str:
        return request.headers["X-User"]

    async def note(request: HttpRequest, response: HttpResponse) -> None:
        seen.append((request.path, response.content))

    @cached_view(["path"], namespace=namespace, on_cache_result=note, cache=cache)
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.headers["X-User"])

    for user in ("ann", "bob", "ann"):
        assert view(get(headers={"X-User": user})).content == user.encode()
    assert seen == [("/", b"ann")]


@pytest.mark.django_db
def test_user_when_the_key_has_it_then_private_pages_are_kept_for_each(cache: Cache) -> None:
    """Of those who are not logged in nothing private is kept."""
    from django.contrib.auth.models import AnonymousUser, User

    class ByUser(KeyConstructor):
        user = UserKeyField()

    count = Counting()

    @cached_view(ByUser, cache=cache)
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(count(), headers={"Cache-Control": "private"})

    def ask(user: Any) -> bytes:
        request = get()
        request.user = user
        content: bytes = view(request).content
        return content

    ann, bob = (User.objects.create(username=name) for name in ("ann", "bob"))
    assert [ask(each) for each in (ann, bob, ann)] == [b"1", b"2", b"1"]
    assert [ask(AnonymousUser()) for _ in range(2)] == [b"3", b"4"]
