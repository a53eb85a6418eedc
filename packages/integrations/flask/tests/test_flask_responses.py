"""Responses made of what was kept, and what is read of a request without Flask's own ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, g, request
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from tiercel.spi import StoredResponse
from tiercel_flask.web import FlaskFramework, FlaskRequest

FRAMEWORK = FlaskFramework()
HEADERS = (("Content-Type", "text/plain"), ("Link", "<a>"), ("Link", "<b>"), ("Age", "3"))
NAMES = ("x-forwarded-host", "x-forwarded-server", "content-length")


@pytest.fixture
def app() -> Iterator[Flask]:
    """An application that is serving a request."""
    app = Flask(__name__)
    with app.test_request_context("/page"):
        yield app


def serving() -> FlaskRequest:
    """Return the request that is being served."""
    found = FRAMEWORK.request((), {})
    assert isinstance(found, FlaskRequest)
    return found


def thawed(stored: StoredResponse) -> Response:
    return FRAMEWORK.thaw(serving(), stored)


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("status", [200, 203, 301, 304, 404, 299, 799])
def test_response_when_it_is_thawed_then_it_is_what_the_constructor_makes(status: int) -> None:
    """Nothing of it is missing that Werkzeug gives its responses, whatever the status."""
    made = Response([b"body"], status, Headers(HEADERS))
    found = thawed(StoredResponse(status, HEADERS, b"body"))
    assert type(found) is Response
    assert vars(found) == vars(made)
    assert (found.status, found.get_data()) == (made.status, b"body")


@pytest.mark.usefixtures("app")
def test_response_when_it_had_no_content_type_then_it_gets_none() -> None:
    """Flask would say `text/html` of itself."""
    assert thawed(StoredResponse(204, (), b"")).headers.to_wsgi_list() == []


@pytest.mark.usefixtures("app")
def test_response_when_it_is_changed_then_the_next_one_is_not() -> None:
    """Each is made of its own parts."""
    stored = StoredResponse(200, HEADERS, b"body")
    first = thawed(stored)
    first.headers["Age"] = "4"
    first.status_code = 500
    first.set_data(b"changed")
    first.call_on_close(lambda: None)
    second = thawed(stored)
    assert vars(second) == vars(Response([b"body"], 200, Headers(HEADERS)))


def test_response_when_the_application_has_its_own_class_then_that_makes_it(app: Flask) -> None:
    """Its constructor is called, as by Flask."""

    class Marked(Response):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.headers["X-Marked"] = "yes"

    app.response_class = Marked
    found = thawed(StoredResponse(200, HEADERS, b"body"))
    assert type(found) is Marked
    assert found.headers.to_wsgi_list() == [*HEADERS, ("X-Marked", "yes")]


@pytest.mark.parametrize(
    "other",
    [
        {"headers": {"X-Forwarded-Host": "a"}},
        {"headers": {"X-Forwarded-Server": "a"}},
        {"headers": {"X-Forwarded-Host": ""}},
        {"headers": {"Content-Length": "1"}},
        {"headers": {"X-Forwarded-Host": "a", "X-Forwarded-Server": "a"}},
        {"query_string": "a"},
        {"method": "HEAD"},
        {"base_url": "https://localhost/"},
        {"base_url": "http://localhost:81/"},
        {"base_url": "http://localhost/below"},
    ],
)
def test_fingerprint_when_one_thing_differs_then_it_is_another(other: dict[str, Any]) -> None:
    """Also where two headers have the same value, or an empty one."""
    app = Flask(__name__)
    plain, same = (_fingerprint(app, {}) for _ in range(2))
    assert plain == same
    swapped = {"headers": {"X-Forwarded-Server": "b"}}
    found = _fingerprint(app, other)
    assert found not in (plain, _fingerprint(app, swapped))
    assert found == _fingerprint(app, other)


def _fingerprint(app: Flask, given: dict[str, Any]) -> Any:
    environ = EnvironBuilder("/page", **given).get_environ()
    if "Content-Length" in given.get("headers", {}):
        environ["CONTENT_LENGTH"] = "1"
    with app.request_context(environ):
        return serving().fingerprint(NAMES)


def test_fingerprints_when_two_headers_swap_a_value_then_they_differ() -> None:
    """It says which header had the value."""
    app = Flask(__name__)
    one, other = (
        _fingerprint(app, {"headers": {name: "a"}})
        for name in ("X-Forwarded-Host", "X-Forwarded-Server")
    )
    assert one != other


@pytest.mark.usefixtures("app")
def test_says_when_request_or_g_has_the_attribute_then_its_truth_counts() -> None:
    """The request is looked at first, and decides even where it says no."""
    assert not serving().says("skip_cache")
    g.skip_cache = True
    assert serving().says("skip_cache")
    request.skip_cache = False  # type: ignore[attr-defined]
    assert not serving().says("skip_cache")


def test_request_when_none_is_served_then_there_is_none() -> None:
    """As in a shell, or in a task."""
    assert FRAMEWORK.request((), {}) is None
    with Flask(__name__).app_context():
        assert FRAMEWORK.request((), {}) is None
