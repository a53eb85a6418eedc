"""The console in Django: for the staff by default, with buttons that work."""

from __future__ import annotations

import re
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import RequestFactory

from tiercel import ConfigurationError, cache_result
from tiercel_django.console import console_urls

STAFF = SimpleNamespace(is_active=True, is_staff=True)
CUSTOMER = SimpleNamespace(is_active=True, is_staff=False)


def send(page: str, user: Any, **options: Any) -> Any:
    """Send a request for a page of the console that is mounted under `/ops/`."""
    (pattern,) = options.pop("urls", None) or console_urls(actions=True, wait=0.0)
    method = options.pop("method", "get")
    request = getattr(RequestFactory(), method)(f"/ops/{page}", **options)
    request.user = user
    return pattern.callback(request, page=page.partition("?")[0])


@pytest.mark.parametrize("user", [CUSTOMER, None], ids=["customer", "nobody"])
def test_console_when_somebody_is_no_staff_then_nothing_is_shown(user: Any) -> None:
    """By default the staff alone may look."""
    response = send("", user)
    assert response.status_code == 403
    assert send("drop", user, method="post").status_code == 403


def test_console_when_a_member_of_the_staff_drops_something_then_it_is_gone() -> None:
    """Links stay below the path, and forms carry the console's own token."""
    computed = []

    @cache_result(name="django.console.price")
    def price(number: int) -> int:
        computed.append(number)
        return number

    price(1)
    urls = console_urls(actions=True, wait=0.0)
    page = send("function?name=django.console.price", STAFF, urls=urls)
    text = page.content.decode()
    assert page.status_code == 200
    assert 'href="/ops/style.css"' in text
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', text))
    form = {name: unescape(value) for name, value in fields.items()}
    cookie = page["Set-Cookie"].partition(";")[0]
    headers = {"HTTP_COOKIE": cookie, "HTTP_ORIGIN": "http://testserver", "HTTP_HOST": "testserver"}
    done = send("drop", STAFF, urls=urls, method="post", data=form, **headers)
    assert done.status_code == 303
    assert done["Location"].startswith("/ops/function?name=django.console.price")
    price(1)
    assert computed == [1, 1]


def test_console_when_nobody_may_look_then_it_is_refused() -> None:
    """None is no way to open it to everybody."""
    with pytest.raises(ConfigurationError, match="authorize="):
        console_urls(None)  # type: ignore[arg-type]
