"""Views that are called where nothing is known of any request: called, not cached, and said so."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from tiercel import Cache, ViewCachingError, ViewCachingWarning, cached_view


class Connection:
    """What frameworks hand to views besides the request; its `url` is not that of a page."""

    url = "sqlite://"


class Model:
    """A model of Pydantic, with names that requests have, too."""

    __pydantic_fields__ = ("path", "method", "host")
    path, method, host = "a", "GET", "b"


@pytest.mark.parametrize("targets", [None, ["path"], ["user.id"]], ids=str)
@pytest.mark.parametrize(
    "given",
    ["ann", 7, None, ("a",), object(), Connection(), Model()],
    ids=lambda given: type(given).__name__,
)
def test_view_when_its_argument_is_no_request_then_it_is_called_and_a_warning_says_so(
    given: object, targets: Any
) -> None:
    """An argument is not taken for the request, and nobody gets an error, nor another's page."""
    calls = []

    @cached_view(targets, cache=Cache(), name="page")
    def page(value: object) -> int:
        calls.append(value)
        return len(calls)

    with pytest.warns(ViewCachingWarning, match=r"page .*\.TiercelMiddleware"):
        assert page(given) == 1
    with warnings.catch_warnings(action="error"):
        assert [page(given), page(value=given)] == [2, 3]
    assert calls == [given] * 3


async def test_coroutine_view_when_there_is_no_argument_then_it_is_called() -> None:
    """One warning for each view."""

    async def page() -> str:
        return "page"

    for name in ("one", "other"):
        cached = cached_view(cache=Cache(), name=name)(page)
        with pytest.warns(ViewCachingWarning, match=f"{name} .* no request") as seen:
            assert [await cached() for _ in range(2)] == ["page", "page"]
        assert len(seen) == 1


def test_namespace_when_there_is_no_request_then_the_view_is_called() -> None:
    """What reads the request fails on anything else, and that is no error of the view's."""

    @cached_view(cache=Cache(), namespace=lambda request: request.cookies["session"])
    def page(value: object) -> int:
        return 1

    with pytest.warns(ViewCachingWarning):
        assert page(Connection()) == 1


def test_method_when_its_object_has_no_request_then_it_is_called() -> None:
    """The object that a view is a method of is not taken for the request."""

    class Pages:
        path = "/data"

        @cached_view(["path"], cache=Cache())
        def page(self, number: int) -> int:
            return number

    with pytest.warns(ViewCachingWarning):
        assert [Pages().page(number) for number in (1, 2)] == [1, 2]


def test_request_when_it_comes_by_name_after_others_then_it_is_found() -> None:
    """Frameworks that call views by names may give the request at any place."""

    class Request:
        path = "/"

    calls = []

    @cached_view(["path"], cache=Cache())
    def page(number: int, request: Request) -> int:
        calls.append(number)
        return number

    assert [page(number=1, request=Request()) for _ in range(2)] == [1, 1]
    assert calls == [1]


def test_target_when_a_request_lacks_it_then_it_is_an_error() -> None:
    """What is a request for all that can be seen is not passed by in silence."""

    class Request:
        path = "/"

    @cached_view(["path", "tenant"], cache=Cache())
    def page(request: Request) -> str:
        return request.path

    with pytest.raises(ViewCachingError, match="'tenant' failed"):
        page(Request())
