"""Users, tenants, languages and time zones in keys of ASGI views."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    BaseUser,
    SimpleUser,
    UnauthenticatedUser,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tiercel import Cache, ConfigurationError, cached_view
from tiercel.testing.clients import AsgiClient
from tiercel_asgi import (
    LanguageKeyField,
    TenantKeyField,
    TiercelMiddleware,
    TimezoneKeyField,
    UserKeyField,
)


def request_of(**scope: Any) -> Request:
    """A request with this in its scope."""
    return Request({"type": "http", "headers": [], **scope})


class ByHeader(AuthenticationBackend):
    """Whoever says who they are is believed."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        name = conn.headers.get("x-user")
        return None if name is None else (AuthCredentials(), SimpleUser(name))


def client_of(view: Any) -> AsgiClient:
    """A client of a page behind middleware that finds out who asks."""
    middleware = [
        Middleware(TiercelMiddleware),
        Middleware(AuthenticationMiddleware, backend=ByHeader()),
    ]
    return AsgiClient(Starlette(routes=[Route("/page", view)], middleware=middleware))


@pytest.mark.parametrize(
    ("user", "identity"),
    [
        (UnauthenticatedUser(), None),
        (SimpleUser("ann"), "ann"),
        (SimpleNamespace(id=7, name="ann"), 7),
        (SimpleNamespace(pk=8), 8),
        (None, None),
        ("ann", "ann"),
        (9, 9),
    ],
)
@pytest.mark.parametrize("place", ["user", "state"])
def test_user_when_someone_is_logged_in_then_the_identity_is_in_the_key(
    user: Any, identity: Any, place: str
) -> None:
    """Whether a middleware of Starlette or one's own says who it is."""
    scope = {"user": user} if place == "user" else {"state": {"user": user}}
    assert UserKeyField().read(request_of(**scope)) == identity


def test_user_when_the_source_is_another_then_that_is_read() -> None:
    """A dotted path, or a function of the request."""
    request = request_of(state={"account": SimpleNamespace(id=5)})
    assert UserKeyField("state.account").read(request) == 5
    assert UserKeyField(lambda each: each.state.account).read(request) == 5


def test_user_when_nothing_tells_users_apart_then_it_is_an_error() -> None:
    """Two users never become one for want of an identity."""
    with pytest.raises(AttributeError, match="has none of"):
        UserKeyField().read(request_of(user=object()))
    with pytest.raises(AttributeError, match="who is logged in"):
        UserKeyField().read(request_of())


@pytest.mark.parametrize("field", [TenantKeyField, LanguageKeyField, TimezoneKeyField])
def test_field_when_a_middleware_left_a_value_in_the_state_then_it_is_read(field: Any) -> None:
    """By default at a name of its own, else where the source says."""
    request = request_of(state={field.name: "one", "other": "two"}, session={"mine": "three"})
    assert field().read(request) == "one"
    assert field("state.other").read(request) == "two"
    assert field(lambda given: given.session["mine"]).read(request) == "three"


@pytest.mark.parametrize("source", [5, [], "coroutine"])
def test_field_when_its_source_cannot_work_then_it_is_refused(source: Any) -> None:
    """What is neither a path nor a plain function is an error at once."""

    async def tenant(request: Any) -> str:
        return "one"

    with pytest.raises(ConfigurationError, match="TenantKeyField"):
        TenantKeyField(tenant if source == "coroutine" else source)


def test_view_when_its_key_has_the_user_then_private_pages_are_kept(cache: Cache) -> None:
    """Everybody has entries of their own, and a hit each."""

    @cached_view({"user": UserKeyField()}, cache=cache, name="home")
    async def home(request: Request) -> Response:
        return PlainTextResponse(request.user.display_name, headers={"Cache-Control": "private"})

    with client_of(home) as client:
        replies = [client.get(X_User=each) for each in ("ann", "bob", "ann")]
        nobody = [client.get() for _ in range(2)]
    assert [each.body for each in replies] == [b"ann", b"bob", b"ann"]
    assert [each.is_hit for each in replies] == [False, False, True]
    assert [each.body for each in nobody] == [b"", b""]


def test_view_when_somebody_is_logged_in_then_only_others_are_served_from_the_cache(
    cache: Cache,
) -> None:
    """A page of someone whom a middleware knows is as private as one with credentials."""

    @cached_view(["path"], cache=cache, name="home")
    async def home(request: Request) -> Response:
        return PlainTextResponse(request.user.display_name or "nobody")

    with client_of(home) as client:
        bodies = [client.get(X_User="ann").body, client.get().body, client.get(X_User="bob").body]
        assert client.get().is_hit
    assert bodies == [b"ann", b"nobody", b"bob"]
