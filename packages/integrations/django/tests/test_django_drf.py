"""Cached views of Django REST framework: every form of a response, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.db.models import QuerySet
from django.urls import include, path
from rest_framework import renderers, serializers, versioning, viewsets
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.decorators import action, api_view, authentication_classes, renderer_classes
from rest_framework.exceptions import NotFound
from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from packages.integrations.django.tests.served import SETTINGS, served
from packages.integrations.django.tests.shop.models import Owner
from tiercel import Cache, InvalidationRule, KeyConstructor, cache_response, cached_view
from tiercel.testing import VirtualClock
from tiercel.testing.pages import Client
from tiercel_django import PaginationKeyField, UserKeyField


@pytest.fixture
def cache(virtual_clock: VirtualClock) -> Iterator[Cache]:
    """A cache in memory whose clock stands still."""
    cache = Cache(clock=virtual_clock, name="api")
    yield cache
    cache.close()


class CountingRenderer(renderers.JSONRenderer):  # type: ignore[misc]
    """Counts how often it renders."""

    calls: ClassVar[int] = 0

    def render(self, *args: Any, **kwargs: Any) -> Any:
        type(self).calls += 1
        return super().render(*args, **kwargs)


class PlainTextRenderer(renderers.BaseRenderer):  # type: ignore[misc]
    """Renders what `str` says."""

    media_type = "text/plain"
    format = "txt"

    def render(
        self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None
    ) -> Any:
        return str(data)


class Open(APIView):  # type: ignore[misc]
    """A view that asks nobody who it is."""

    authentication_classes: ClassVar[list[Any]] = []
    permission_classes: ClassVar[list[Any]] = []
    calls = 0

    @classmethod
    def count(cls) -> int:
        """Return the number of this call."""
        cls.calls += 1
        return cls.calls


def forms(client: Client, *accepts: str) -> list[tuple[str | None, bytes]]:
    """Return type and body of a page for each media type that is accepted."""
    replies = [client.get("/page", Accept=each) for each in accepts]
    return [(reply.header("content-type"), reply.body) for reply in replies]


@pytest.mark.parametrize("where", ["method", "as_view"])
def test_page_when_clients_want_other_forms_then_each_form_is_kept(
    cache: Cache, where: str
) -> None:
    """What was agreed on is part of the key, by the header or by `?format=`."""
    cached: Any = cached_view(cache=cache, expiry=60)

    class Page(Open):
        calls = 0
        renderer_classes = (
            renderers.JSONRenderer,
            PlainTextRenderer,
            renderers.BrowsableAPIRenderer,
        )

        def get(self, request: Any) -> Response:
            return Response({"n": self.count()})

        if where == "method":
            get = cached(get)

    view = Page.as_view()
    with served(path("page", view if where == "method" else cached(view))) as client:
        wanted = ("application/json", "text/plain", "text/html", "*/*")
        found = [forms(client, *wanted) for _ in range(4)][-1]
        again = forms(client, *wanted)
        by_parameter = client.send("/page?format=txt")
        refused = client.get("/page", Accept="image/png")
        assert "Accept" in (client.get("/page", Accept="text/plain").header("vary") or "")
    assert (found[:2], found[3]) == (again[:2], again[3])
    assert found[2][1] != again[2][1], "pages for people hold the CSRF token of one of them"
    assert [kind for kind, _ in found] == [
        "application/json",
        "text/plain; charset=utf-8",
        "text/html; charset=utf-8",
        "application/json",
    ]
    assert by_parameter.header("content-type") == "text/plain; charset=utf-8"
    assert refused.status == 406


def test_response_when_it_is_kept_then_it_is_rendered_once(cache: Cache) -> None:
    """And never for a hit; the headers of the framework come with it all the same."""

    class Page(Open):
        calls = 0
        renderer_classes = (CountingRenderer,)

        @cache_response(ttl=60, set_cache_headers=True, cache=cache)
        def get(self, request: Any) -> Response:
            return Response({"n": self.count()}, headers={"X-Mine": "1"})

    CountingRenderer.calls = 0
    with served(path("page", Page.as_view())) as client:
        replies = [client.get("/page") for _ in range(4)]
        assert client.send("/page", "HEAD").body == b""
    assert CountingRenderer.calls == 1
    assert {reply.body for reply in replies} == {b'{"n":1}'}
    assert all(reply.header("x-mine") == "1" for reply in replies)
    assert all("GET" in (reply.header("allow") or "") for reply in replies)
    assert [reply.header("x-cache-status") for reply in replies] == ["MISS", "HIT", "HIT", "HIT"]


def test_function_when_it_is_an_api_view_then_it_is_cached_inside(cache: Cache) -> None:
    """The framework authenticates and negotiates around it, for each request."""
    calls: list[Any] = []

    @api_view(["GET", "POST"])  # type: ignore[untyped-decorator]
    @authentication_classes([])  # type: ignore[untyped-decorator]
    @renderer_classes([renderers.JSONRenderer])  # type: ignore[untyped-decorator]
    @cached_view(["path"], cache=cache)
    def page(request: Any, pk: int) -> Response:
        calls.append(request)
        if pk == 404:
            raise NotFound
        return Response({"n": len(calls)})

    with served(path("page/<int:pk>", page)) as client:
        assert [client.get("/page/1").body for _ in range(3)] == [b'{"n":1}'] * 3
        assert client.get("/page/2").body == b'{"n":2}'
        assert [client.send("/page/1", "POST").body for _ in range(2)] == [b'{"n":3}', b'{"n":4}']
        assert [client.get("/page/404").status for _ in range(2)] == [404, 404]
    assert len(calls) == 6


def test_version_when_it_was_agreed_on_then_it_is_part_of_the_key(cache: Cache) -> None:
    """Also where it stands in a header that nobody keyed."""

    class Page(Open):
        calls = 0
        versioning_class = versioning.AcceptHeaderVersioning
        renderer_classes = (renderers.JSONRenderer,)

        @cached_view(cache=cache)
        def get(self, request: Any) -> Response:
            return Response({"v": request.version})

    with served(path("page", Page.as_view())) as client:
        for _ in range(3):
            found = forms(client, "application/json; version=1", "application/json; version=2")
            assert [body for _, body in found] == [b'{"v":"1"}', b'{"v":"2"}']


# Whose a response is


class Session(APIView):  # type: ignore[misc]
    """A view with the authentication that the framework has by default."""

    authentication_classes = (SessionAuthentication,)
    permission_classes: ClassVar[list[Any]] = []
    renderer_classes = (renderers.JSONRenderer,)
    calls = 0


def test_public_page_when_the_framework_reads_sessions_then_it_is_kept_for_strangers(
    cache: Cache,
) -> None:
    """Who has no session shares it; who has one, logged in or not, gets a page of its own."""

    class Page(Session):
        @cached_view(cache=cache)
        def get(self, request: Any) -> Response:
            type(self).calls += 1
            return Response([type(self).calls, request.session.get("basket")])

    class Basket(Session):
        def get(self, request: Any) -> Response:
            request.session["basket"] = "tea"
            return Response()

    middleware = [
        *SETTINGS["MIDDLEWARE"],
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    patterns = [path("page", Page.as_view()), path("basket", Basket.as_view())]
    with served(*patterns, MIDDLEWARE=middleware) as client:
        strangers = [client.get("/page").body for _ in range(3)]
        cookie = (client.get("/basket").header("set-cookie") or "").partition(";")[0]
        known = [client.get("/page", Cookie=cookie).body for _ in range(2)]
        again = client.get("/page").body
    assert strangers == [b"[1,null]"] * 3
    assert known == [b'[2,"tea"]', b'[3,"tea"]']
    assert again == b"[1,null]"


def test_session_when_the_view_writes_it_then_the_page_is_not_kept(cache: Cache) -> None:
    """Although it was empty before."""

    class Page(Session):
        @cached_view(cache=cache)
        def get(self, request: Any) -> Response:
            type(self).calls += 1
            request.session["seen"] = True
            return Response(type(self).calls)

    with served(path("page", Page.as_view())) as client:
        assert [client.get("/page").body for _ in range(2)] == [b"1", b"2"]


@pytest.mark.django_db
@pytest.mark.parametrize("keyed", [False, True])
def test_user_when_logged_in_then_pages_are_kept_only_by_user(cache: Cache, keyed: bool) -> None:
    """Whatever says who it is: a token, a session, or a test."""
    from django.contrib.auth.models import User

    class ByUser(KeyConstructor):
        user = UserKeyField()

    class Page(APIView):  # type: ignore[misc]
        authentication_classes = (TokenAuthentication,)
        renderer_classes = (renderers.JSONRenderer,)
        calls = 0

        @cached_view(ByUser if keyed else None, cache=cache)
        def get(self, request: Any) -> Response:
            type(self).calls += 1
            return Response([type(self).calls, request.user.username])

    def ask(user: Any) -> list[Any]:
        request = APIRequestFactory().get("/")
        force_authenticate(request, user)
        response: Any = Page.as_view()(request)
        if hasattr(response, "render"):
            response.render()
        body = response.content.decode()
        return [body, response.headers["Cache-Status"][:12]] if keyed else [body]

    ann, bob = (User.objects.create(username=name) for name in ("ann", "bob"))
    found = [ask(each)[0] for each in (ann, bob, ann, ann)]
    if keyed:
        assert found == ['[1,"ann"]', '[2,"bob"]', '[1,"ann"]', '[1,"ann"]']
    else:
        assert found == ['[1,"ann"]', '[2,"bob"]', '[3,"ann"]', '[4,"ann"]']


# Viewsets


class OwnerSerializer(serializers.ModelSerializer[Owner]):  # type: ignore[misc]
    """An owner's name."""

    class Meta:
        """What it is about."""

        model = Owner
        fields = ("name",)


class Pages(PageNumberPagination):  # type: ignore[misc]
    """Two on a page, or as many as asked for."""

    page_size = 2
    page_size_query_param = "size"


class ByPage(KeyConstructor):
    """Pages of a list, whatever else stands in the query."""

    page = PaginationKeyField(["search"])


@pytest.mark.django_db(transaction=True)
def test_viewset_when_it_lists_then_pages_are_kept_until_a_row_changes(cache: Cache) -> None:
    """Through a router, with pagination, a rule and an action of its own."""
    rule = InvalidationRule(Owner, field_mapping=InvalidationRule.ALL, trigger_on_create=True)
    calls: list[str] = []

    class Owners(viewsets.ReadOnlyModelViewSet[Owner]):  # type: ignore[misc]
        authentication_classes: ClassVar[list[Any]] = []
        permission_classes: ClassVar[list[Any]] = []
        renderer_classes = (renderers.JSONRenderer,)
        queryset: QuerySet[Owner] = Owner.objects.order_by("pk")
        serializer_class = OwnerSerializer
        pagination_class = Pages

        @cache_response(ByPage, 60, invalidates_on=[rule], cache=cache)
        def list(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, request: Any, *args: Any, **kwargs: Any
        ) -> Any:
            calls.append("list")
            return super().list(request, *args, **kwargs)

        @action(detail=False)  # type: ignore[untyped-decorator]
        @cached_view(cache=cache)
        def newest(self, request: Any) -> Response:
            calls.append("newest")
            return Response(OwnerSerializer(Owner.objects.order_by("-pk")[:1], many=True).data)

    router = SimpleRouter()
    router.register("owners", Owners)
    for name in "abc":
        Owner.objects.create(name=name)

    def names(client: Client, query: str = "") -> bytes:
        return client.get(f"/owners/{query}").body.partition(b'"results":')[2]

    with served(path("", include(router.urls))) as client:
        assert [names(client) for _ in range(3)] == [b'[{"name":"a"},{"name":"b"}]}'] * 3
        assert [names(client, "?page=2") for _ in range(3)] == [b'[{"name":"c"}]}'] * 3
        assert names(client, "?utm_source=x") == names(client)
        assert names(client, "?size=1") == b'[{"name":"a"}]}'
        assert len(calls) == 3
        names(client, "?search=a")
        assert len(calls) == 4
        assert [client.get("/owners/newest/").body for _ in range(3)] == [b'[{"name":"c"}]'] * 3
        assert calls.count("newest") == 1
        Owner.objects.filter(name="a").update(name="z")
        assert names(client) == b'[{"name":"z"},{"name":"b"}]}'
        Owner.objects.create(name="d")
        assert names(client, "?page=2") == b'[{"name":"c"},{"name":"d"}]}'


def test_viewset_when_as_view_is_decorated_then_its_actions_have_names(cache: Cache) -> None:
    """A list and a single row, decorated in the URLs, are two views."""

    class Things(viewsets.ViewSet):  # type: ignore[misc]
        authentication_classes: ClassVar[list[Any]] = []
        permission_classes: ClassVar[list[Any]] = []
        renderer_classes = (renderers.JSONRenderer,)

        def list(self, request: Any) -> Response:
            return Response("all")

        def retrieve(self, request: Any, pk: int) -> Response:
            return Response(pk)

    many: Any = cached_view(["method"], cache=cache)(Things.as_view({"get": "list"}))
    one: Any = cached_view(["method"], cache=cache)(Things.as_view({"get": "retrieve"}))
    assert many.cached_function.name != one.cached_function.name
    assert (many.csrf_exempt, many.cls, one.actions["get"]) == (True, Things, "retrieve")
    with served(path("things", many), path("things/<int:pk>", one)) as client:
        for _ in range(3):
            found = [client.get(each).body for each in ("/things", "/things/1", "/things/2")]
            assert found == [b'"all"', b"1", b"2"]
