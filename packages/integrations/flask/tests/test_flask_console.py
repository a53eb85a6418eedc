"""The console in Flask: under its prefix, for those who may look, with buttons that work."""

from __future__ import annotations

import re
from html import unescape

from flask import Flask, Request

from tiercel import cache_result
from tiercel_flask import Tiercel
from tiercel_flask.console import console_blueprint


def is_owner(request: Request) -> bool:
    """Know the owner by a header."""
    return request.headers.get("X-User") == "ann"


def test_console_when_it_is_registered_then_it_is_served_below_its_prefix() -> None:
    """Strangers get 403; the owner sees functions of the application, and may drop them."""
    app = Flask("kit")
    app.config["SECRET_KEY"] = "a secret of some length"
    Tiercel(app)
    blueprint = console_blueprint(is_owner, actions=True, wait=0.0)
    app.register_blueprint(blueprint, url_prefix="/ops/cache")
    computed = []

    @cache_result(name="flask.console.price")
    def price(number: int) -> int:
        computed.append(number)
        return number

    client = app.test_client()
    with app.app_context():
        price(1)
    assert client.get("/ops/cache/").status_code == 403
    owner = {"X-User": "ann", "Origin": "http://localhost"}
    page = client.get("/ops/cache/function?name=flask.console.price", headers=owner)
    assert page.status_code == 200
    assert 'href="/ops/cache/style.css"' in page.text
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
    form = {name: unescape(value) for name, value in fields.items()}
    assert client.post("/ops/cache/drop", data=form, headers=owner).status_code == 303
    with app.app_context():
        price(1)
    assert computed == [1, 1]
