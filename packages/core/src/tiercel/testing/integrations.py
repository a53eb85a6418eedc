"""The conformance kit for web frameworks: subclass `IntegrationConformance`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

import pytest

from tiercel.caches import Cache
from tiercel.contracts.web import WebFramework
from tiercel.doors.view import cached_view
from tiercel.plugins import default_registry
from tiercel.testing.clock import VirtualClock
from tiercel.testing.conformance.attacked import AttackTests
from tiercel.testing.conformance.replies import ReplyTests
from tiercel.testing.conformance.scopes import ScopeTests
from tiercel.testing.conformance.vocabulary import VocabularyTests
from tiercel.testing.pages import Client, Page
from tiercel.testing.simulated import SimulatedBackend


class IntegrationConformance(VocabularyTests, ReplyTests, ScopeTests, AttackTests):
    """Everything that an integration of a web framework promises.

    The whole of a conformance test::

        class TestBottle(IntegrationConformance):
            name = "bottle"

            @contextmanager
            def serve(self, pages: Sequence[Page]) -> Iterator[Client]:
                app = Bottle()
                for page in pages:
                    app.route(route_of(page), METHODS, page.decorate(view_of(page)))
                yield WsgiClient(app)

    A view asks `page.answer(request, body)`, `request` being what the integration's `web.request`
    returns, and makes a response of the framework of the `Answer`: with its headers in order, each
    as often as it is there; streamed if it has `chunks`; after `pause` seconds, and with the
    session touched, if it says so. What `page.answer` raises, the framework answers with 500. The
    request scope must be open.

    Views may be plain functions, methods or coroutine functions: subclass it once for each kind.

    Attributes:
        name: The integration, where its plugin is installed.
    """

    name: ClassVar[str] = ""

    # What an author overrides

    def serve(self, pages: Sequence[Page]) -> AbstractContextManager[Client]:
        """Serve pages, and return a client for as long as the block runs."""
        raise NotImplementedError(f"{type(self).__name__} needs serve()")

    # What tests use

    @property
    def web(self) -> WebFramework:
        """What the integration knows of requests and responses."""
        web = default_registry().integrations[self.name].web
        assert web is not None, f"integration {self.name!r} is no web framework"
        return web

    @pytest.fixture(params=["memory", "shared"])
    def cache(self, request: pytest.FixtureRequest) -> Iterator[Cache]:
        """A cache of either kind: what is kept must read the same from either tier."""
        cache = self.open_cache(request.param)
        yield cache
        cache.close()

    def open_cache(self, kind: str) -> Cache:
        """Make a cache whose clock does not move by itself."""
        clock = VirtualClock()
        if kind == "memory":
            return Cache(clock=clock, name="memory-kit")
        return Cache(backend=SimulatedBackend(clock), memory=0, clock=clock, name="shared-kit")

    @contextmanager
    def serve_one(
        self,
        answer: Callable[..., Any],
        cache: Cache | None = None,
        *,
        route: str = "/page",
        decorate: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> Iterator[Client]:
        """Serve one page, cached with these options; without a cache, as `decorate` says."""
        chosen = decorate or (lambda view: view)
        if cache is not None:
            chosen = cached_view(cache=cache, **{"name": "page", **options})
        with self.serve([Page(answer, chosen, route)]) as client:
            yield client
