"""Where an environment of CGI or WSGI has the headers of a request."""

from __future__ import annotations

import pytest

from tiercel.spi import environ_key, environ_values


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Accept", "HTTP_ACCEPT"),
        ("accept", "HTTP_ACCEPT"),
        ("X-Forwarded-Host", "HTTP_X_FORWARDED_HOST"),
        ("Content-Type", "CONTENT_TYPE"),
        ("content-length", "CONTENT_LENGTH"),
        ("Content-Language", "HTTP_CONTENT_LANGUAGE"),
    ],
)
def test_key_when_a_header_is_named_then_it_is_that_of_rfc_3875(name: str, key: str) -> None:
    """Two of them have no prefix (section 4.1.18)."""
    assert environ_key(name) == key


def test_values_when_several_headers_are_asked_for_then_each_is_there_or_none() -> None:
    """Whoever asks for others next gets those."""
    names, others = ("accept", "x-one"), ("x-two",)
    environ = {"HTTP_ACCEPT": "a", "HTTP_X_TWO": "2", "PATH_INFO": "/"}
    for _ in range(2):
        assert environ_values(environ, names) == ("a", None)
        assert environ_values(environ, others) == ("2",)
    assert environ_values({"PATH_INFO": "/"}, names) is None
