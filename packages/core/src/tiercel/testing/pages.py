"""Pages that any web framework can serve, and what clients of them see."""

from __future__ import annotations

import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Literal

from tiercel.contracts.web import StoredResponse, WebFramework, WebRequest

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page answers, whatever the framework.

    Attributes:
        body: The body.
        status: The status code.
        headers: Names and values in their order; a name may come repeatedly.
        session: What serving it does with the framework's session: reads or writes its name
            "visitor"; None: it leaves the session alone.
        chunks: Instead of `body`, what is streamed.
        pause: Seconds that the view takes; a coroutine function sleeps as such.
    """

    body: bytes = b""
    status: int = 200
    headers: Headers = (("Content-Type", "text/plain"),)
    session: Literal["read", "write"] | None = None
    chunks: tuple[bytes, ...] | None = None
    pause: float = 0.0


def text(body: object, *headers: tuple[str, str], status: int = 200, **more: Any) -> Answer:
    """Return an answer of plain text."""
    kind = ("Content-Type", "text/plain; charset=utf-8")
    return Answer(str(body).encode(), status, (kind, *headers), **more)


@dataclass(frozen=True, eq=False)
class Page:
    """A view to serve.

    Attributes:
        answer: Gets the request and its body, and says what to answer; may raise.
        decorate: What decorates the framework's view.
        route: Where it is; `{name}` is one segment, `{name:path}` is all the rest.
        name: Tells it apart from others that are served beside it.
    """

    answer: Callable[[WebRequest, bytes], Answer]
    decorate: Callable[[Any], Any] = field(default=lambda view: view)
    route: str = "/page"
    name: str = "page"


METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
"""The methods that a page must be served for; the page itself answers all of them."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client got.

    Attributes:
        status: The status code.
        headers: Names and values in their order.
        body: The whole body.
    """

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the values of a header, joined by commas; None if it is not there."""
        return StoredResponse(self.status, self.headers, b"").header(name)

    @property
    def is_hit(self) -> bool:
        """Whether `Cache-Status` says that the cache answered."""
        return "; hit" in (self.header("cache-status") or "")


class Client(ABC):
    """Sends requests to what is served, each as it stands: nothing is added or normalized."""

    @abstractmethod
    def send(
        self,
        target: str,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Reply:
        """Send a request and return what came back.

        Args:
            target: Path and query as they stand in the request line.
            method: The HTTP method.
            headers: `Host` is `example.com` unless it is among them.
            body: The body.
        """

    def get(self, target: str = "/page", **headers: str) -> Reply:
        """Send a GET; names of headers are given with `_` for `-`."""
        return self.send(target, headers=[(k.replace("_", "-"), v) for k, v in headers.items()])


def naive(web: WebFramework, key: Callable[[WebRequest], Hashable]) -> Callable[[Any], Any]:
    """Return a decorator as it is often written: one that keeps everything, for everybody.

    Callers of one moment share what the first of them gets.

    Args:
        web: Knows the framework's requests and responses.
        key: What it tells requests apart by.
    """
    kept: dict[Hashable, StoredResponse] = {}
    lock = threading.Lock()

    def keep(name: Hashable, stored: StoredResponse | None) -> StoredResponse:
        assert stored is not None, "the naive decorator reads bodies of up to a megabyte"
        return kept.setdefault(name, stored)

    def decorate(view: Any) -> Any:
        @wraps(view)
        def cached(*args: Any, **kwargs: Any) -> Any:
            request = web.request(args, kwargs)
            assert request is not None, f"no request in {args} and {kwargs}"
            name = key(request)
            with lock:
                if name not in kept:
                    keep(name, web.freeze(request, view(*args, **kwargs), 1_000_000).stored)
            return web.thaw(request, kept[name])

        @wraps(view)
        async def acached(*args: Any, **kwargs: Any) -> Any:
            request = web.request(args, kwargs)
            assert request is not None, f"no request in {args} and {kwargs}"
            name = key(request)
            if name not in kept:
                frozen = await web.afreeze(request, await view(*args, **kwargs), 1_000_000)
                keep(name, frozen.stored)
            return web.thaw(request, kept[name])

        return acached if inspect.iscoroutinefunction(view) else cached

    return decorate
