"""A key says for whom a response is only where it names somebody."""

from __future__ import annotations

from typing import Any

import pytest

from packages.core.tests.web.toy import Counting, Request
from tiercel import Cache


class Nobody:
    """Whoever is not logged in, as frameworks have it."""

    is_authenticated = False
    id = None

    def __cache_key__(self) -> None:
        return None


class Person:
    """A user of a framework."""

    is_authenticated = True
    language = "de"

    def __init__(self, number: int) -> None:
        self.id = number

    def __cache_key__(self) -> int:
        return self.id


def _of_cookie(request: Request) -> str | None:
    return request.cookies.get("session")


@pytest.mark.parametrize(
    "response",
    [("Set-Cookie", "session=1"), ("Cache-Control", "private")],
    ids=["cookie", "private"],
)
def test_response_when_the_namespace_is_empty_then_it_is_not_shared(
    cache: Cache, response: tuple[str, str]
) -> None:
    """Visitors who have no session yet must not be given that of the first of them."""
    view = Counting(response).cached(cache, ["path"], namespace=_of_cookie)
    assert [view(Request()).body for _ in range(3)] == [b"1", b"2", b"3"]
    ann = Request(cookies={"session": "ann"})
    assert [view(ann).body for _ in range(2)] == [b"4", b"4"]


def test_session_when_nobody_is_logged_in_then_its_pages_are_not_shared(cache: Cache) -> None:
    """All who are not logged in have one key, but not one basket."""
    for number, target in enumerate(("user", "user.id")):
        view = Counting().cached(cache, ["path", target], name=f"view-{number}")
        nobody = Request(user=Nobody(), session_used=True)
        assert [view(nobody).body for _ in range(2)] == [b"1", b"2"]
        ann = Request(user=Person(7), session_used=True)
        assert [view(ann).body for _ in range(2)] == [b"3", b"3"]


def test_credentials_when_the_key_names_nobody_then_the_cache_is_not_asked(cache: Cache) -> None:
    """A page for all is not given to who says who it is, even where keys may name somebody."""
    view = Counting().cached(cache, ["path"], namespace=_of_cookie)
    request = Request(headers={"Authorization": "Basic x"})
    assert [view(request).body for _ in range(2)] == [b"1", b"2"]


@pytest.mark.parametrize("target", ["user.language", "user.is_authenticated", "cookies.theme"])
def test_target_when_several_users_have_it_then_it_names_nobody(cache: Cache, target: str) -> None:
    """What many users have in common says of no page whose it is."""
    view = Counting().cached(cache, ["path", target])
    options: dict[str, Any] = {"session_used": True, "cookies": {"theme": "dark"}}
    ann, bob = (Request(user=Person(number), **options) for number in (1, 2))
    assert (view(ann).body, view(bob).body) == (b"1", b"2")
