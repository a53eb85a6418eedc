"""The scope of a request: what is remembered in one, and forgotten after it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from tiercel.doors.request import request_cached
from tiercel.scope import current_scope
from tiercel.testing.pages import Answer, Client, Page, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiercel.contracts.web import WebRequest


class ScopeTests:
    """Needs `serve` and `serve_one` of `IntegrationConformance`."""

    if TYPE_CHECKING:
        serve: Callable[[Sequence[Page]], AbstractContextManager[Client]]
        serve_one: Callable[..., AbstractContextManager[Client]]

    def test_request_remembers_and_the_next_one_does_not(self) -> None:
        """A request-cached function runs once per request."""
        calls: list[int] = []

        @request_cached
        def number() -> int:
            calls.append(len(calls))
            return calls[-1]

        with self.serve_one(lambda request, body: text([number(), number()])) as client:
            assert [client.get().body for _ in range(2)] == [b"[0, 0]", b"[1, 1]"]
        assert number() != number(), "outside a request nothing is remembered"

    def test_scope_knows_the_method_and_ends_with_the_request(self) -> None:
        """What a request leaves behind finds its scope closed, also if the view raised."""
        scopes = []

        def answer(request: WebRequest, body: bytes) -> Answer:
            scopes.append(current_scope())
            if request.method == "DELETE":
                raise LookupError("on purpose")
            return text("seen")

        with self.serve_one(answer) as client:
            assert client.send("/page", "POST").status == 200
            assert client.send("/page", "DELETE").status == 500
        assert [each and each.method for each in scopes] == ["POST", "DELETE"]
        assert all(each and each.closed for each in scopes)
        assert current_scope() is None

    def test_requests_of_one_moment_do_not_share_a_scope(self) -> None:
        """Two requests that are served at once have two scopes."""
        both = threading.Barrier(2)
        found = []

        def answer(request: WebRequest, body: bytes) -> Answer:
            found.append(current_scope())
            return text("seen")

        def send(client: Client) -> None:
            both.wait(60)
            client.get()

        with self.serve_one(answer) as client:
            threads = [threading.Thread(target=send, args=(client,)) for _ in range(2)]
            for each in threads:
                each.start()
            for each in threads:
                each.join(60)
        assert len(found) == 2
        assert found[0] is not found[1]
