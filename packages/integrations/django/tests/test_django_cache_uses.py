"""What Django builds on its caches works on `TiercelCache`: sessions, pages, fragments."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from itertools import count
from typing import Any

import pytest
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.cache import caches
from django.core.cache.utils import make_template_fragment_key
from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine
from django.test import RequestFactory
from django.views.decorators.cache import cache_control, cache_page
from django.views.decorators.vary import vary_on_headers
from pytest_django import Settings

from packages.integrations.django.tests.caching import Caches, opened_caches
from tiercel.testing.servers import RedisServer

SESSIONS = ["django.contrib.sessions.backends.cache", "django.contrib.sessions.backends.cached_db"]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture(params=["memory", "two_tiers"])
def aliases(
    request: pytest.FixtureRequest, settings: Settings, server: RedisServer
) -> Iterator[Caches]:
    with opened_caches():
        yield Caches(settings, request.param, server.url)


@pytest.mark.django_db
@pytest.mark.parametrize("engine", SESSIONS)
def test_sessions_are_kept_and_end(aliases: Caches, engine: str) -> None:
    """Made, changed, cycled, flushed; what is not saved is seen by nobody."""
    store = import_module(engine).SessionStore
    session = store()
    session["cart"] = [1]
    session.save()
    key = session.session_key
    one, two = store(key), store(key)
    one["cart"].append(2)
    assert two["cart"] == [1]
    one.save()
    assert store(key)["cart"] == [1, 2]
    assert store().exists(key)
    one.cycle_key()
    assert not store().exists(key)
    assert store(one.session_key)["cart"] == [1, 2]
    one.flush()
    assert dict(store(one.session_key).items()) == {}


@pytest.mark.django_db
def test_session_that_was_deleted_meanwhile_is_not_brought_back(
    aliases: Caches, settings: Settings
) -> None:
    """A request that ends after the logout of another cannot save it any more."""
    from django.contrib.sessions.backends.base import UpdateError
    from django.contrib.sessions.backends.cache import SessionStore

    session = SessionStore()
    session["user"] = 1
    session.save()
    late = SessionStore(session.session_key)
    assert late["user"] == 1
    session.delete()
    late["user"] = 2
    with pytest.raises((UpdateError, SessionInterrupted)):
        late.save()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("engine", SESSIONS)
async def test_sessions_work_in_async_code(aliases: Caches, engine: str) -> None:
    """By the methods that Django has for it."""
    store = import_module(engine).SessionStore
    session = store()
    await session.aset("cart", [1])
    await session.asave()
    again = store(session.session_key)
    assert await again.aget("cart") == [1]
    await again.aflush()
    assert await store(session.session_key).aget("cart") is None


def page(request: HttpRequest, made: Iterator[int] = count(1)) -> HttpResponse:  # noqa: B008
    """A page that is different each time it is made."""
    response = HttpResponse(f"{next(made)} {request.GET.get('q', '')}", headers={"X-Made": "yes"})
    response.set_cookie("seen", "1")
    return response


def test_pages_are_cached_by_url_and_method(aliases: Caches, rf: RequestFactory) -> None:
    """`cache_page` stores the whole response, headers included."""
    view = cache_page(60, key_prefix="site")(page)
    first = view(rf.get("/page?q=a"))
    again = view(rf.get("/page?q=a"))
    assert (again.content, again["X-Made"]) == (first.content, "yes")
    assert again["Cache-Control"] == "max-age=60"
    assert view(rf.get("/page?q=b")).content != first.content
    assert view(rf.post("/page?q=a")).content != first.content
    assert view(rf.head("/page?q=a")).content in (b"", first.content)


def test_pages_that_vary_or_are_private_are_treated_so(aliases: Caches, rf: RequestFactory) -> None:
    """The decorators of Django decide, as ever."""
    view = cache_page(60)(vary_on_headers("X-Kind")(page))
    one = [view(rf.get("/vary", headers={"x-kind": "a"})).content for _ in range(2)]
    other = view(rf.get("/vary", headers={"x-kind": "b"})).content
    assert one[0] == one[1] != other
    private = cache_page(60)(cache_control(private=True)(page))
    assert private(rf.get("/private")).content != private(rf.get("/private")).content


def test_fragments_of_templates_are_cached(aliases: Caches) -> None:
    """By name and variables; deleting the key makes it anew."""
    engine = Engine(libraries={"cache": "django.templatetags.cache"})
    text = "{% load cache %}{% cache 60 side user %}<b>{{ number }}</b>{% endcache %}"
    template, numbers = engine.from_string(text), count(1)

    def render(user: str) -> Any:
        return template.render(Context({"user": user, "number": next(numbers)}))

    assert [render("ann"), render("ann"), render("bob")] == ["<b>1</b>", "<b>1</b>", "<b>3</b>"]
    caches["default"].delete(make_template_fragment_key("side", ["ann"]))
    assert render("ann") == "<b>4</b>"
