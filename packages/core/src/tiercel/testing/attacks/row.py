"""What a row of the table of attacks says."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiercel.contracts.web import WebRequest
from tiercel.testing.pages import Answer, Client, Headers, Reply

Answering = Callable[[WebRequest, bytes], Answer]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes:
        target: Path and query.
        method: The HTTP method.
        headers: Names and values.
        body: The body.
    """

    target: str = "/page"
    method: str = "GET"
    headers: Headers = ()
    body: bytes = b""

    def send(self, client: Client) -> Reply:
        """Send it."""
        return client.send(self.target, self.method, self.headers, self.body)


def by_path(request: WebRequest) -> Hashable:
    """What most decorators tell requests apart by."""
    return request.path


def last_is_first(replies: Sequence[Reply]) -> bool:
    """Whether the last client got the very body that the first one got."""
    return replies[-1].body == replies[0].body


@dataclass(frozen=True)
class Attack:
    """One attack or mistake.

    Attributes:
        name: What it is.
        page: Makes a page that it works on.
        asks: The requests in order; the last is that of whom it harms.
        succeeds: Whether it did harm, by what came back.
        naive: What the naive decorator tells requests apart by.
        options: Those of `cached_view`.
        route: Where the page is.
        together: Whether the requests are sent at the same moment.
    """

    name: str
    page: Callable[[], Answering]
    asks: Sequence[Ask]
    succeeds: Callable[[Sequence[Reply]], bool] = last_is_first
    naive: Callable[[WebRequest], Hashable] = by_path
    options: Mapping[str, Any] = field(default_factory=dict)
    route: str = "/page"
    together: bool = False


def always(answering: Answering) -> Callable[[], Answering]:
    """Return what makes a page that remembers nothing."""
    return lambda: answering


def in_turn(*answers: Answer) -> Callable[[], Answering]:
    """Return what makes a page that gives these answers one after the other, the last for good."""

    def make() -> Answering:
        left = list(answers)
        return lambda request, body: left.pop(0) if len(left) > 1 else left[0]

    return make


def gets(*targets: str, **headers: str) -> list[Ask]:
    """Return a plain GET for each target."""
    return [Ask(target, headers=_named(headers)) for target in targets]


def ask(target: str = "/page", method: str = "GET", body: bytes = b"", **headers: Any) -> Ask:
    """Return a request; names of headers are given with `_` for `-`."""
    return Ask(target, method, _named(headers), body)


def _named(headers: Mapping[str, str]) -> Headers:
    return tuple((name.replace("_", "-"), value) for name, value in headers.items())
