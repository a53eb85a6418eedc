"""Cached views of Django that are classes, and what drops the pages of views when rows change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from packages.integrations.django.tests.served import Counting, get, served
from packages.integrations.django.tests.shop.models import Owner
from tiercel import (
    ArgsKeyField,
    Cache,
    ConfigurationError,
    InvalidationRule,
    KeyConstructor,
    cached_view,
)
from tiercel.testing import VirtualClock


@pytest.fixture
def cache(virtual_clock: VirtualClock) -> Iterator[Cache]:
    """A cache in memory whose clock stands still."""
    cache = Cache(clock=virtual_clock, name="views")
    yield cache
    cache.close()


def test_method_decorator_when_the_class_is_decorated_then_each_class_has_its_entries(
    cache: Cache,
) -> None:
    """Django decorates at each call; it is cached once, and for every class by itself."""
    count = Counting()
    cached = cached_view(cache=cache)

    @method_decorator([never_cache_but_kept, cached], name="dispatch")
    class One(View):
        def get(self, request: HttpRequest, pk: int) -> HttpResponse:
            return HttpResponse(f"{type(self).__name__} {pk} {count()}")

    class Other(One):
        pass

    for _ in range(3):
        asked: list[Any] = [kind.as_view()(get(), pk=pk) for kind in (One, Other) for pk in (1, 2)]
        found = [each.content for each in asked]
        assert found == [b"One 1 1", b"One 2 2", b"Other 1 3", b"Other 2 4"]
    assert One.as_view()(RequestFactory().post("/"), pk=1).status_code == 405


def never_cache_but_kept(view: Any) -> Any:
    """A decorator of another kind between Django's and ours."""

    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return view(request, *args, **kwargs)

    wrapper.__wrapped__ = view  # type: ignore[attr-defined]
    return wrapper


@pytest.mark.parametrize("kind", ["method_decorator", "as_view", "method"])
def test_coroutines_of_a_class_when_they_are_decorated_then_django_awaits_them(
    cache: Cache, kind: str
) -> None:
    """In each of the three ways."""
    count = Counting()
    cached: Any = cached_view(cache=cache)

    class Page(View):
        async def get(self, request: HttpRequest) -> HttpResponse:
            await asyncio.sleep(0)
            return HttpResponse(count())

        if kind == "method":
            get = cached(get)

    if kind == "method_decorator":
        method_decorator(cached, name="dispatch")(Page)  # which changes the class
    view: Any = Page.as_view()
    with served(path("page", cached(view) if kind == "as_view" else view), asgi=True) as client:
        assert [client.get("/page").body for _ in range(3)] == [b"1"] * 3


def test_as_view_when_it_is_decorated_then_it_keeps_what_django_knows_of_it(cache: Cache) -> None:
    """Two views of a module have two names, and what is set on a view stays set."""

    class One(View):
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(type(self).__name__)

    class Other(One):
        pass

    views: list[Any] = [cached_view(cache=cache)(kind.as_view()) for kind in (One, Other)]
    for _ in range(2):
        assert [view(get()).content for view in views] == [b"One", b"Other"]
    assert [view.view_class for view in views] == [One, Other]
    assert views[0].cached_function.name.endswith("One.as_view")


def test_rules_when_they_go_through_method_decorator_then_that_is_an_error() -> None:
    """A process that has not served the view yet would not know them."""
    rule = InvalidationRule(Owner, field_mapping={})
    with pytest.raises(ConfigurationError, match="method_decorator"):

        @method_decorator(cached_view(invalidates_on=[rule]), name="dispatch")
        class Page(View):
            pass


def test_decorators_of_django_when_they_are_around_then_they_apply_to_hits(cache: Cache) -> None:
    """What is outside is done for each request, what is inside once."""
    view = never_cache(cached_view(cache=cache)(lambda request: HttpResponse("x")))
    for _ in range(3):
        assert "no-store" in view(get()).headers["Cache-Control"]


# Rules


class ByOwner(KeyConstructor):
    """Pages by their owner."""

    owner = ArgsKeyField("pk", partition=True)


@pytest.mark.django_db(transaction=True)
def test_page_when_its_row_changes_then_it_is_dropped(cache: Cache) -> None:
    """From the model through the rule to what the client gets, and other pages stay."""
    count = Counting()
    rule = InvalidationRule(Owner, field_mapping={"pk": "id"})

    @cached_view(ByOwner, invalidates_on=[rule], tags=["owners"], cache=cache)
    def page(request: HttpRequest, pk: int) -> HttpResponse:
        return HttpResponse(f"{Owner.objects.get(pk=pk).name} {count()}")

    class Page(View):
        @cached_view(ByOwner, invalidates_on=[rule], cache=cache)
        def get(self, request: HttpRequest, pk: int) -> HttpResponseBase:
            return HttpResponse(f"{Owner.objects.get(pk=pk).name} {count()}")

    ann, bob = (Owner.objects.create(name=name) for name in ("ann", "bob"))
    patterns = [path("page/<int:pk>", page), path("class/<int:pk>", Page.as_view())]
    with served(*patterns) as client:

        def ask(kind: str) -> list[bytes]:
            return [client.get(f"/{kind}/{each.pk}").body for each in (ann, bob)]

        assert [ask("page") for _ in range(3)] == [[b"ann 1", b"bob 2"]] * 3
        assert [ask("class") for _ in range(3)] == [[b"ann 3", b"bob 4"]] * 3
        ann.name = "anna"
        ann.save()
        assert ask("page") == [b"anna 5", b"bob 2"]
        assert ask("class") == [b"anna 6", b"bob 4"]
        Owner.objects.filter(pk=bob.pk).update(name="rob")
        assert ask("page") == [b"anna 5", b"rob 7"]
        cache.drop_tags("owners")
        assert ask("page") == [b"anna 8", b"rob 9"]
