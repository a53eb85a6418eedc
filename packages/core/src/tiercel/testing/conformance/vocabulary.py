"""What an integration shows of requests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from tiercel.testing.pages import Answer, Client, text

if TYPE_CHECKING:
    from tiercel.contracts.web import WebFramework, WebRequest


class VocabularyTests:
    """Needs `serve_one` and `web` of `IntegrationConformance`."""

    if TYPE_CHECKING:
        serve_one: Callable[..., AbstractContextManager[Client]]

        @property
        def web(self) -> WebFramework: ...

    def seen(
        self,
        read: Callable[[WebRequest], Any],
        target: str = "/page",
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        route: str = "/page",
    ) -> Any:
        """Return what a view reads of a request."""
        found: list[Any] = []

        def answer(request: WebRequest, body: bytes) -> Answer:
            found.append(read(request))
            return text("seen")

        with self.serve_one(answer, route=route) as client:
            reply = client.send(target, method, headers, body)
        assert reply.status == 200, reply
        return found[0]

    def test_request_is_found_only_where_one_is_served(self) -> None:
        """A call that has nothing to do with a request is none of the framework's."""
        assert self.web.request((), {}) is None
        assert self.web.request((1, "two", object()), {"three": 3}) is None

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    def test_method_is_in_capitals(self, method: str) -> None:
        """The method is what the client sent."""
        assert self.seen(lambda request: request.method, method=method) == method

    def test_address_is_taken_apart(self) -> None:
        """Scheme, host and path are strings; the host is in lower case and has its port."""
        headers = [("Host", "Shop.Example:8080"), ("X-Forwarded-Host", "evil.example")]
        read = lambda request: (request.scheme, request.host, request.path, request.fullpath)  # noqa: E731
        found = self.seen(read, "/page?b=2&a=1", headers=headers)
        assert found == ("http", "shop.example:8080", "/page", "/page?b=2&a=1")
        assert self.seen(read)[3] == "/page"

    def test_path_is_unescaped_once(self) -> None:
        """A path reads as the framework routes it, whatever characters it has."""
        path = "/item/%C3%A9%20%2541"
        assert self.seen(lambda r: r.path, path, route="/item/{name}") == "/item/é %41"
        found = self.seen(lambda r: dict(r.url_args), path, route="/item/{name}")
        assert found == {"name": "é %41"}

    def test_query_keeps_every_value_in_order(self) -> None:
        """Repeated and empty parameters count, and escapes are undone."""
        target = "/page?b=2&a=1&b=1&empty=&q=%C3%A9+%26"
        query = self.seen(lambda request: {k: list(v) for k, v in request.query.items()}, target)
        assert query == {"b": ["2", "1"], "a": ["1"], "empty": [""], "q": ["é &"]}
        assert self.seen(lambda request: request.query_string, target) == target.partition("?")[2]
        assert self.seen(lambda request: (dict(request.query), request.query_string)) == ({}, "")

    def test_header_is_found_in_any_case(self) -> None:
        """One that was not sent is None, an empty one is an empty text."""
        headers = [("X-Flavour", "mint"), ("X-Empty", "")]
        names = ("x-flavour", "X-FLAVOUR", "x-empty", "x-absent")
        found = self.seen(lambda request: [request.header(each) for each in names], headers=headers)
        assert found == ["mint", "mint", "", None]
        assert self.seen(lambda request: request.headers["x-flavour"], headers=headers) == "mint"
        found = self.seen(lambda request: request.given(("x-flavour", "x-no")), headers=headers)
        assert found == {"x-flavour": "mint"}

    def test_values_of_a_repeated_header_are_joined(self) -> None:
        """None of them is lost."""
        headers = [("Accept", "text/html"), ("Accept", "text/plain")]
        found = self.seen(lambda request: request.header("accept"), headers=headers)
        assert [each.strip() for each in found.split(",")] == ["text/html", "text/plain"]

    def test_header_of_the_body_is_a_header(self) -> None:
        """Type and length of a body are found like all the others."""
        names = ("content-length", "content-type")
        found = self.seen(
            lambda request: [request.header(each) for each in names],
            method="POST",
            headers=[("Content-Type", "text/plain")],
            body=b"12345",
        )
        assert found == ["5", "text/plain"]

    def test_cookies_are_found_by_name(self) -> None:
        """Also several, and none."""
        read = lambda request: dict(request.cookies)  # noqa: E731
        found = self.seen(read, headers=[("Cookie", "a=1; session=x-y")])
        assert found == {"a": "1", "session": "x-y"}
        assert self.seen(read) == {}

    def test_attribute_that_is_not_there_is_an_attribute_error(self) -> None:
        """So that a view whose request has no skip attribute is not skipped."""

        def read(request: WebRequest) -> Any:
            with pytest.raises(AttributeError):
                request.attribute("no_such_thing_at_all")
            return "refused"

        assert self.seen(read) == "refused"

    @pytest.mark.parametrize("use", ["read", "write"])
    def test_touched_session_is_noticed(self, use: Any) -> None:
        """A session that a view read or wrote is reported, one that it left alone is not."""
        seen: list[bool] = []

        def answering(session: Any) -> Callable[[WebRequest, bytes], Answer]:
            return lambda request, body: text("seen", session=session)

        def watching(view: Any) -> Any:
            return _after(view, self.web, seen)

        for session, touched in ((None, False), (use, True)):
            seen.clear()
            with self.serve_one(answering(session), decorate=watching) as client:
                assert client.get().status == 200
            assert seen == [touched], session


def _after(view: Any, web: WebFramework, found: list[bool]) -> Any:
    """Note after each call of a view whether the session was touched by it."""

    def note(args: Any, kwargs: Any) -> None:
        request = web.request(args, kwargs)
        assert request is not None
        found.append(request.session_touched)

    @wraps(view)
    def watched(*args: Any, **kwargs: Any) -> Any:
        result = view(*args, **kwargs)
        note(args, kwargs)
        return result

    @wraps(view)
    async def awatched(*args: Any, **kwargs: Any) -> Any:
        result = await view(*args, **kwargs)
        note(args, kwargs)
        return result

    return awatched if inspect.iscoroutinefunction(view) else watched
