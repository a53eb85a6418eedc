"""Hits of Django views: what they read of a request, and the responses that are made for them."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from tiercel.spi import StoredResponse
from tiercel_django.web.requests import DjangoRequest
from tiercel_django.web.responses import thaw, thawing

HEADERS = (("Content-Type", "text/plain"), ("Age", "3"))
COOKIES = (*HEADERS, ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/"))
NAMES = ("x-forwarded-host", "x-forwarded-server", "authorization", "content-length")


def told(response: HttpResponse) -> tuple[Any, ...]:
    """Everything that a response says."""
    cookies = sorted(each.OutputString() for each in response.cookies.values())
    return response.status_code, dict(response.headers), cookies, response.content


@pytest.mark.parametrize("headers", [HEADERS, COOKIES, ()], ids=["plain", "cookies", "none"])
def test_responses_when_they_are_made_of_the_same_headers_then_they_share_none(
    headers: tuple[tuple[str, str], ...],
) -> None:
    """Each is equal to what is made of the stored response, and can be changed by itself."""
    make = thawing(203, headers)
    first, second = make(None, b"body"), make(None, b"other")
    thawed = thaw(StoredResponse(203, headers, b"body"))
    assert type(first) is HttpResponse
    assert told(first) == told(thawed)
    first.headers["Age"] = "4"
    first.set_cookie("c", "3")
    del first.headers["Content-Type"]
    assert told(second)[1:3] == told(thawed)[1:3]
    assert second.content == b"other"


@pytest.mark.parametrize(
    "other",
    [
        {"headers": {"X-Forwarded-Host": "a"}},
        {"headers": {"X-Forwarded-Server": "a"}},
        {"headers": {"X-Forwarded-Host": ""}},
        {"headers": {"Authorization": "a"}},
        {"headers": {"Host": "other"}},
        {"query_params": {"a": "b"}},
        {"CONTENT_LENGTH": "1"},
        {"SERVER_PORT": "81"},
        {"secure": True},
    ],
    ids=str,
)
def test_fingerprint_when_one_thing_differs_then_it_is_another(other: dict[str, Any]) -> None:
    """Also where two headers have the same value, or an empty one."""
    assert fingerprint({}) == fingerprint({})
    swapped = fingerprint({"headers": {"X-Forwarded-Server": "b"}})
    assert fingerprint(other) not in (fingerprint({}), swapped)
    assert fingerprint(other) == fingerprint(other)


def fingerprint(given: dict[str, Any]) -> Any:
    """What identifies a request to the short way."""
    more = dict(given)
    query = more.pop("query_params", {})
    return DjangoRequest(RequestFactory().get("/page", query, **more)).fingerprint(NAMES)


def test_request_when_it_is_marked_then_that_counts() -> None:
    """What is absent, and what is false, says no."""
    native: Any = HttpRequest()
    request = DjangoRequest(native)
    assert not request.says("skip_cache")
    native.skip_cache = False
    assert not request.says("skip_cache")
    native.skip_cache = True
    assert request.says("skip_cache")
