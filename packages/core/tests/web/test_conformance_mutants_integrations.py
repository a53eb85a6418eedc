"""Integrations that are wrong, each in one way that a real one might be, fail the kit."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

import tiercel.testing.integrations
import tiercel.web.requested
from packages.core.tests.web.toy import (
    QuickRequest,
    Request,
    Response,
    ToyFramework,
    ToyIntegration,
    ToyRequest,
)
from tiercel.contracts.web import Frozen, StoredResponse, WebFramework, WebRequest
from tiercel.scope import request_scope
from tiercel.testing import IntegrationConformance
from tiercel.testing.pages import Client, Page, Reply


class ToyClient(Client):
    """Serves pages as views of the toy."""

    def __init__(self, pages: Sequence[Page], web: WebFramework) -> None:
        self.views = [(_pattern(page.route), view_of(page, web)) for page in pages]

    def send(
        self,
        target: str,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Reply:
        path, given = target.partition("?")[0], dict(headers)
        request = Request(target, method, given, given.get("Host", "example.com").lower())
        with request_scope(method):
            response = self._answer(request, path)
            sent = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        return Reply(response.status, tuple(response.headers), b"" if method == "HEAD" else sent)

    def _answer(self, request: Request, path: str) -> Any:
        match, view = next((m, v) for p, v in self.views if (m := p.fullmatch(path)))
        request.url_args = match.groupdict()
        try:
            return view(request)
        except LookupError:
            return Response(status=500)


def _pattern(route: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]*)", route))


def view_of(page: Page, web: WebFramework) -> Callable[[Request], Any]:
    """Return a page as a view of the toy, decorated."""

    def view(request: Request) -> Response:
        seen = web.request((request,), {})
        assert seen is not None
        answer = page.answer(seen, b"")
        request.session_used = answer.session is not None
        content = answer.body if answer.chunks is None else iter(answer.chunks)
        return Response(content, answer.status, list(answer.headers))

    decorated: Callable[[Request], Any] = page.decorate(view)
    return decorated


class RightFramework(ToyFramework):
    wrapper = QuickRequest


class Kit(IntegrationConformance):
    name = "toy"
    __test__ = False

    @contextmanager
    def serve(self, pages: Sequence[Page]) -> Iterator[Client]:
        yield ToyClient(pages, self.web)


class SharesHeaders(RightFramework):
    def __init__(self) -> None:
        self.lists: dict[Any, Any] = {}

    def thaw(self, request: WebRequest, stored: StoredResponse) -> Any:
        headers = self.lists.setdefault(stored.headers, list(stored.headers))
        return Response(stored.body, stored.status, headers)


class SharesResponses(RightFramework):
    def __init__(self) -> None:
        self.made: dict[bytes, Any] = {}

    def thaw(self, request: WebRequest, stored: StoredResponse) -> Any:
        return self.made.setdefault(stored.body, super().thaw(request, stored))


class TakesAnything(RightFramework):
    def is_response(self, result: Any) -> bool:
        return True


class SortsHeaders(RightFramework):
    def freeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        response.headers.sort()
        return super().freeze(request, response, limit)


class KeepsOneOfEach(RightFramework):
    def thaw(self, request: WebRequest, stored: StoredResponse) -> Any:
        return Response(stored.body, stored.status, list(dict(stored.headers).items()))


class AnswersAlwaysWith200(RightFramework):
    def thaw(self, request: WebRequest, stored: StoredResponse) -> Any:
        return Response(stored.body, 200, list(stored.headers))


class ReadsEveryStream(RightFramework):
    def freeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        return super().freeze(request, response, 1_000_000)


class LosesWhatItRead(RightFramework):
    def freeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        frozen = super().freeze(request, response, limit)
        return frozen if frozen.stored else Frozen(None, Response(b"", response.status))


class FindsARequestAnywhere(RightFramework):
    def request(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> WebRequest | None:
        return super().request(args, kwargs) or ToyRequest(Request())


def reading(**wrong: Any) -> type[RightFramework]:
    """Return a framework whose requests are read wrongly in one way."""
    wrapper: Any = type("WrongRequest", (QuickRequest,), wrong)
    return type("WrongFramework", (RightFramework,), {"wrapper": wrapper})


def quick_without(name: str) -> Callable[..., Hashable]:
    """Return a fingerprint that leaves something of the request out."""

    def fingerprint(self: QuickRequest, names: tuple[str, ...]) -> Hashable | None:
        native = self.native
        known = {each: getattr(native, each) for each in ("method", "target", "host")}
        headers = () if name == "headers" else tuple(map(self.header, names))
        return (*(value for each, value in known.items() if each != name), headers)

    return fingerprint


TOLD_APART = "test_requests_are_told_apart_however_often_one_was_asked"
KEPT = "test_hit_equals_what_was_kept"
SEEN = "test_address_is_taken_apart"

MUTANTS: dict[str, tuple[type[RightFramework], str, dict[str, Any]]] = {
    "shares headers": (SharesHeaders, "test_hit_is_a_new_response", {}),
    "shares responses": (SharesResponses, "test_hit_is_a_new_response", {}),
    "takes anything": (TakesAnything, "test_response_is_told_from_what_is_none", {}),
    "sorts headers": (SortsHeaders, KEPT, {"shape": "order"}),
    "keeps one of each": (KeepsOneOfEach, KEPT, {"shape": "duplicates"}),
    "answers 200": (AnswersAlwaysWith200, KEPT, {"shape": "rare status"}),
    "reads streams": (ReadsEveryStream, "test_stream_passes_through_and_is_whole", {}),
    "loses streams": (LosesWhatItRead, "test_stream_is_kept_up_to_the_limit", {}),
    "finds requests": (FindsARequestAnywhere, "test_request_is_found_only_where_one_is_served", {}),
    "quick without query": (
        reading(fingerprint=quick_without("target")),
        TOLD_APART,
        {"pair": "query"},
    ),
    "quick without host": (
        reading(fingerprint=quick_without("host")),
        TOLD_APART,
        {"pair": "host"},
    ),
    "quick without method": (
        reading(fingerprint=quick_without("method")),
        TOLD_APART,
        {"pair": "method"},
    ),
    "quick without headers": (
        reading(fingerprint=quick_without("headers")),
        TOLD_APART,
        {"pair": "what may steer"},
    ),
    "no session": (
        reading(session_touched=False),
        "test_touched_session_is_noticed",
        {"use": "read"},
    ),
    "another host": (
        reading(host=property(lambda self: self.header("X-Forwarded-Host") or self.native.host)),
        SEEN,
        {},
    ),
}
"""Each mistake, the test of the kit that is about it, and the parameters of that."""


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutant_fails_the_test_that_is_about_it(
    mutant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right integration passes that test, the wrong one fails it."""
    wrong, name, parameters = MUTANTS[mutant]
    run(RightFramework(), name, parameters, monkeypatch)
    with pytest.raises(AssertionError):
        run(wrong(), name, parameters, monkeypatch)


def run(
    framework: RightFramework, name: str, given: Mapping[str, Any], patch: pytest.MonkeyPatch
) -> None:
    """Run a test of the kit, on each kind of cache where it is about one."""
    integration = ToyIntegration()
    integration.web = framework
    registry = SimpleNamespace(integrations={"toy": integration})
    for module in (tiercel.web.requested, tiercel.testing.integrations):
        patch.setattr(module, "default_registry", lambda: registry)
    kit = Kit()
    test: Any = getattr(kit, name)
    if "cache" not in test.__code__.co_varnames[: test.__code__.co_argcount]:
        test(**given)
        return
    for kind in ("memory", "shared"):
        cache = kit.open_cache(kind)
        try:
            test(cache=cache, **given)
        finally:
            cache.close()
