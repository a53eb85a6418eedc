"""The example `examples/fastapi_app` does what it says."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest

from tiercel.testing.clients import AsgiClient
from tiercel.testing.pages import Reply
from tools.environment import ROOT


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tiercel_caches: object) -> Any:
    """The application, with caches of its own."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "fastapi_app")
    return import_module("teashop").app


def prices(reply: Reply) -> dict[str, float]:
    """The prices on a menu."""
    return {tea["name"]: tea["price"] for tea in json.loads(reply.body)}


def test_menu_when_a_price_changes_then_it_is_made_anew(app: Any) -> None:
    """It is kept for each currency until then."""
    with AsgiClient(app) as client:
        assert prices(client.get("/teas")) == {"assam": 3.5, "ceylon": 4.0}
        assert client.get("/teas").is_hit
        assert prices(client.get("/teas?currency=gbp"))["ceylon"] == 3.5
        client.send("/teas/ceylon?price=8", "PUT")
        assert prices(client.get("/teas"))["ceylon"] == 8.0
        assert prices(client.get("/teas?currency=gbp"))["ceylon"] == 7.0


def test_orders_when_two_customers_ask_then_each_has_a_page(app: Any) -> None:
    """And who has no key has none, although pages are kept."""
    with AsgiClient(app) as client:
        for _ in range(3):
            for name in ("ann", "bob"):
                reply = client.get("/orders", X_Key=f"key-of-{name}")
                assert json.loads(reply.body) == {name: ["assam"]}
        assert client.get("/orders", X_Key="key-of-ann").is_hit
        assert client.get("/orders", X_Key="of nobody").status == 401
