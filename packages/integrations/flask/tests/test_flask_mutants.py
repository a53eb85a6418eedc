"""Integrations that are wrong fail the conformance kit, each the test that is about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Response

from packages.integrations.flask.tests.test_flask_attacks import TestFunctions as RightKit
from tiercel.spi import Frozen, StoredResponse
from tiercel.testing.attacks import ATTACKS
from tiercel_flask import extension, web
from tiercel_flask.web import FlaskFramework, FlaskRequest

Right = Callable[..., Any]


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        owner: The class, or the module, that has it.
        name: What is wrong there.
        wrong: Makes it, of what is right.
        test: The test that must notice.
        given: What that is called with besides a cache.
    """

    owner: Any
    name: str
    wrong: Callable[[Any], Any]
    test: str
    given: dict[str, Any] = field(default_factory=dict)


def reading(read: Callable[[FlaskRequest], Any]) -> Callable[[Any], Any]:
    """Replace a property."""
    return lambda right: property(read)


def attack(name: str) -> dict[str, Any]:
    """A row of the table."""
    return {"attack": next(each for each in ATTACKS if each.name == name)}


def _without(*left_out: str) -> Callable[[Any], Any]:
    """Make a fingerprint that lacks parts of the address, or all headers."""

    def wrong(right: Right) -> Right:
        def fingerprint(self: FlaskRequest, names: tuple[str, ...]) -> Any:
            kept = [each for each in web._ADDRESS if each not in left_out]
            headers = () if "headers" in left_out else tuple(map(self.header, names))
            return (*map(self.native.environ.get, kept), *headers)

        return fingerprint

    return wrong


def _always_a_request(right: Right) -> Right:
    return lambda self, args, kwargs: right(self, args, kwargs) or FlaskRequest(Response())  # type: ignore[arg-type]


def _shares_responses(right: Right) -> Right:
    made: dict[StoredResponse, Any] = {}
    return lambda self, request, stored: made.setdefault(stored.body, right(self, request, stored))


def _loses_duplicates(right: Right) -> Right:
    def freeze(self: FlaskFramework, request: Any, response: Any, limit: int) -> Frozen:
        frozen: Frozen = right(self, request, response, limit)
        if frozen.stored is None:
            return frozen
        headers = tuple(dict(frozen.stored.headers).items())
        stored = StoredResponse(frozen.stored.status, headers, frozen.stored.body)
        return Frozen(stored, frozen.native)

    return freeze


def _eats_streams(right: Right) -> Right:
    def body(response: Any, limit: int) -> bytes | None:
        if not response.is_streamed or not limit:
            found: bytes | None = right(response, limit)
            return found
        read = b"".join(response.iter_encoded())
        return read if len(read) <= limit else None

    return body


def _first_values(request: FlaskRequest) -> Any:
    return {name: [values[0]] for name, values in request.native.args.lists()}


MUTANTS = {
    "host of whoever says so": Mutant(
        FlaskRequest,
        "host",
        reading(lambda self: (self.header("x-forwarded-host") or self.native.host).lower()),
        "test_address_is_taken_apart",
    ),
    "method in small letters": Mutant(
        FlaskRequest,
        "method",
        reading(lambda self: self.native.method.lower()),
        "test_method_is_in_capitals",
        {"method": "PUT"},
    ),
    "path as it was sent": Mutant(
        FlaskRequest,
        "path",
        reading(lambda self: self.native.environ["PATH_INFO"]),
        "test_path_is_unescaped_once",
    ),
    "first values of parameters": Mutant(
        FlaskRequest, "query", reading(_first_values), "test_query_keeps_every_value_in_order"
    ),
    "absent headers are empty": Mutant(
        FlaskRequest,
        "header",
        lambda right: lambda self, name: right(self, name) or "",
        "test_header_is_found_in_any_case",
    ),
    "cookies are lost": Mutant(
        FlaskRequest, "cookies", reading(lambda self: {}), "test_cookies_are_found_by_name"
    ),
    "absent attributes are None": Mutant(
        FlaskRequest,
        "attribute",
        lambda right: lambda self, name: getattr(self.native, name, None),
        "test_attribute_that_is_not_there_is_an_attribute_error",
    ),
    "sessions are not watched": Mutant(
        FlaskRequest,
        "session_touched",
        reading(lambda self: False),
        "test_touched_session_is_noticed",
        {"use": "write"},
    ),
    "sessions are shared": Mutant(
        FlaskRequest,
        "session_touched",
        reading(lambda self: False),
        "test_attack_succeeds_against_a_naive_decorator_only",
        attack("a page that reads the session is shown to others"),
    ),
    "a request where none is": Mutant(
        FlaskFramework,
        "request",
        _always_a_request,
        "test_request_is_found_only_where_one_is_served",
    ),
    "one response for all": Mutant(
        FlaskFramework, "thaw", _shares_responses, "test_hit_is_a_new_response"
    ),
    "duplicates are lost": Mutant(
        FlaskFramework,
        "freeze",
        _loses_duplicates,
        "test_hit_equals_what_was_kept",
        {"shape": "duplicates"},
    ),
    "streams are read and not sent": Mutant(
        web, "_body", _eats_streams, "test_stream_is_kept_up_to_the_limit"
    ),
    "no scope": Mutant(
        extension,
        "open_scopes",
        lambda right: lambda app: None,
        "test_request_remembers_and_the_next_one_does_not",
    ),
    "fingerprint without query": Mutant(
        FlaskRequest,
        "fingerprint",
        _without("QUERY_STRING"),
        "test_requests_are_told_apart_however_often_one_was_asked",
        {"pair": "query"},
    ),
    "fingerprint without host": Mutant(
        FlaskRequest,
        "fingerprint",
        _without("HTTP_HOST"),
        "test_requests_are_told_apart_however_often_one_was_asked",
        {"pair": "host"},
    ),
    "fingerprint without headers": Mutant(
        FlaskRequest,
        "fingerprint",
        _without("headers"),
        "test_requests_are_told_apart_however_often_one_was_asked",
        {"pair": "what may steer"},
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_integration_when_it_is_wrong_then_the_kit_notices(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right one passes the same test."""
    mutant, kit = MUTANTS[name], RightKit()
    test: Callable[..., None] = getattr(type(kit), mutant.test)
    needed = test.__code__.co_varnames[: test.__code__.co_argcount]
    cache = kit.open_cache("memory")
    given = {**mutant.given, **({"cache": cache} if "cache" in needed else {})}
    test(kit, **given)
    cache.clear()
    right = getattr(mutant.owner, mutant.name)
    monkeypatch.setattr(mutant.owner, mutant.name, mutant.wrong(right))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(kit, **given)
    cache.close()
