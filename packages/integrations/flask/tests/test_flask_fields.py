"""Key fields: user, tenant, language, time zone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask_babel
import flask_login
import pytest
from flask import Flask, g, request

from packages.integrations.flask.tests.making import hits, make_app
from tiercel import ConfigurationError, KeyField, cache_result
from tiercel.testing import VirtualClock
from tiercel_flask import (
    LanguageKeyField,
    TenantKeyField,
    Tiercel,
    TimezoneKeyField,
    UserKeyField,
)


class User(flask_login.UserMixin):  # type: ignore[misc]
    """A user of Flask-Login."""

    def __init__(self, name: str) -> None:
        self.id = name


def serve(field: KeyField, before: Callable[[], Any] | None = None) -> tuple[Flask, Any]:
    """Serve a view that counts, whose key has a field; return the application and a client."""
    app, tiercel = make_app(VirtualClock())
    calls: list[int] = []

    @app.get("/page")
    @tiercel.cached_view({"field": field})
    def page() -> str:
        calls.append(1)
        return str(len(calls))

    if before is not None:
        app.before_request(before)
    return app, app.test_client()


def ask(client: Any, *values: str) -> list[str]:
    """Return what is answered for values of a header."""
    return [client.get("/page", headers={"X-Value": each}).text for each in values]


def test_user_when_g_has_one_then_private_pages_are_kept_for_each() -> None:
    """By `id`, or the value itself; nobody is one of them."""

    def load() -> None:
        name = request.headers.get("X-Value")
        g.user = {"": None, "7": 7}.get(name or "", name)

    _, client = serve(UserKeyField(), load)
    assert ask(client, "ann", "bob", "ann", "", "", "7") == ["1", "2", "1", "3", "3", "4"]
    assert hits(client.get("/page", headers={"X-Value": "ann", "Authorization": "Basic x"}))


def test_user_when_it_is_an_object_then_its_key_counts() -> None:
    """`get_id()`, or else `id` or `pk`."""

    class Row:
        def __init__(self, pk: str) -> None:
            self.pk = pk

    def load() -> None:
        g.user = Row(request.headers["X-Value"])

    _, client = serve(UserKeyField(), load)
    assert ask(client, "a", "b", "a") == ["1", "2", "1"]


def test_user_when_flask_login_knows_then_it_is_asked() -> None:
    """Users have entries of their own; of visitors nothing is kept, as it reads their session."""
    app, client = serve(UserKeyField())
    manager = flask_login.LoginManager(app)
    manager.request_loader(
        lambda asked: User(asked.headers["X-Value"]) if asked.headers.get("X-Value") else None
    )
    assert ask(client, "ann", "bob", "ann", "", "") == ["1", "2", "1", "3", "4"]


def test_user_when_it_has_no_key_then_the_error_says_so() -> None:
    """An object without identity is no key."""
    app, tiercel = make_app()
    tiercel.cached_view({"user": UserKeyField()})
    with app.test_request_context("/"):
        g.user = object()
        with pytest.raises(ConfigurationError, match="neither get_id"):
            UserKeyField().read(request)


def test_tenant_when_read_from_g_or_a_function_then_tenants_are_apart() -> None:
    """`g.tenant` by default."""

    def load() -> None:
        g.tenant = g.shop = request.headers["X-Value"]

    sources = [TenantKeyField(), TenantKeyField("shop")]
    for field in [*sources, TenantKeyField(lambda: request.headers["X-Value"])]:
        _, client = serve(field, load)
        assert ask(client, "a", "b", "a") == ["1", "2", "1"]
    with pytest.raises(ConfigurationError, match="TenantKeyField"):
        TenantKeyField(3)  # type: ignore[arg-type]


def test_language_when_babel_or_the_client_says_then_it_is_in_the_key() -> None:
    """Flask-Babel's locale, or else the best match of what the client accepts."""
    app, client = serve(LanguageKeyField())
    flask_babel.Babel(app, locale_selector=lambda: request.headers["X-Value"])
    assert ask(client, "de", "fr", "de") == ["1", "2", "1"]
    _, client = serve(LanguageKeyField(["en", "de"]))
    wanted = ["de-AT,fr;q=0.5", "de", "fr;q=0.9,en;q=0.1"]
    found = [client.get("/page", headers={"Accept-Language": each}).text for each in wanted]
    assert found == ["1", "1", "2"]
    with pytest.raises(ConfigurationError, match="must be a list"):
        LanguageKeyField("en")


def test_timezone_when_babel_or_g_says_then_it_is_in_the_key() -> None:
    """Flask-Babel's time zone, or else `g.timezone`."""
    app, client = serve(TimezoneKeyField())
    flask_babel.Babel(app, timezone_selector=lambda: request.headers["X-Value"])
    zones = ("Europe/Vienna", "Asia/Tokyo", "Europe/Vienna")
    assert ask(client, *zones) == ["1", "2", "1"]

    def load() -> None:
        g.timezone = request.headers["X-Value"]

    _, client = serve(TimezoneKeyField(), load)
    assert ask(client, *zones) == ["1", "2", "1"]


def test_field_when_no_request_is_served_then_it_is_none() -> None:
    """Functions may have these fields too, also in scripts."""
    app, _ = make_app()
    calls: list[int] = []

    @cache_result(key={"user": UserKeyField(), "zone": TimezoneKeyField()})
    def count() -> int:
        calls.append(1)
        return len(calls)

    with app.app_context():
        assert [count(), count()] == [1, 1]
    with app.test_request_context("/"):
        g.user = "ann"
        assert count() == 2


def test_user_target_when_it_is_asked_for_by_name_then_g_answers() -> None:
    """`cached_view(["user.id"])` in the vocabulary of all frameworks."""
    app, tiercel = make_app(VirtualClock())

    @app.before_request
    def load() -> None:
        g.user = User(request.headers["X-Value"])

    @app.get("/page")
    @tiercel.cached_view(["user.id"])
    def page() -> str:
        return str(g.user.id)

    assert ask(app.test_client(), "ann", "bob", "ann") == ["ann", "bob", "ann"]
    assert isinstance(tiercel, Tiercel)
