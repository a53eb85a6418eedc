"""URLs and options are understood or refused, never ignored."""

from __future__ import annotations

import pytest

from tiercel.spi import BackendLocation, ConfigurationError
from tiercel_redis.declared import SCHEMES
from tiercel_redis.options import Settings, parse_location
from tiercel_redis.plugin import open_backend, tiercel_backends


def parse(url: str, **options: object) -> Settings:
    return parse_location(BackendLocation(url, options=options))


def test_location_when_it_has_everything_then_all_is_used() -> None:
    """Credentials are unquoted, the path is the database, text becomes numbers."""
    settings = parse("rediss://me:p%40ss@host:7000/4?max_connections=7", ssl_check_hostname="no")
    assert settings.addresses == (("host", 7000),)
    assert settings.tls
    assert settings.max_connections == 7
    assert settings.keywords["username"] == "me"
    assert settings.keywords["password"] == "p@ss"
    assert settings.keywords["db"] == 4
    assert settings.keywords["ssl_check_hostname"] is False
    assert settings.keywords["socket_timeout"] == 0.2


def test_location_when_only_a_scheme_is_given_then_it_is_the_local_server() -> None:
    """Host and port have defaults, as with redis-py."""
    assert parse("redis://").addresses == (("localhost", 6379),)
    assert parse("redis://[::1]:7000").addresses == (("::1", 7000),)


def test_location_when_it_names_sentinels_then_service_and_their_credentials_are_taken() -> None:
    """The path begins with the service; sentinel_* go to the sentinels only."""
    settings = parse("redis+sentinel://:pw@a,b:7000/main/2", sentinel_password="other", ssl="true")
    assert settings.addresses == (("a", 26379), ("b", 7000))
    assert settings.service == "main"
    assert settings.keywords["db"] == 2
    assert settings.keywords["password"] == "pw"
    assert settings.sentinel["password"] == "other"
    assert settings.tls


@pytest.mark.parametrize(
    ("url", "options", "complaint"),
    [
        ("redis://h", {"colour": "red"}, "colour"),
        ("redis://h?colour=red", {}, "colour"),
        ("redis://h", {"db": "first"}, "db='first' is not a number"),
        ("redis://h", {"socket_keepalive": "maybe"}, "not a truth value"),
        ("redis://h/first", {}, "database number"),
        ("redis://h:port", {}, "not a host"),
        ("redis://h", {"ssl_ca_certs": "x"}, "needs TLS"),
        ("redis://h", {"protocol": "4"}, "protocol"),
        ("redis://h", {"sentinel_password": "x"}, "redis\\+sentinel"),
        ("redis+cluster://h/1", {}, "database 0"),
        ("redis+sentinel://h", {}, "service"),
        ("redis+unix://", {}, "path"),
        ("memcached://h", {}, "scheme"),
    ],
)
def test_location_when_wrong_then_the_error_names_what(
    url: str, options: dict[str, object], complaint: str
) -> None:
    """Each mistake is a ConfigurationError before anything connects."""
    with pytest.raises(ConfigurationError, match=complaint):
        open_backend(BackendLocation(url, options=options))


def test_location_when_wrong_then_no_error_holds_the_password() -> None:
    """A mistake elsewhere in a URL does not print its credentials."""
    with pytest.raises(ConfigurationError) as caught:
        parse("redis://user:hunter2@h:port/first?colour=red")
    assert "hunter2" not in str(caught.value)


def test_label_when_there_are_credentials_then_it_leaves_them_out() -> None:
    """Errors name the server by what is not secret."""
    assert parse("redis://user:hunter2@h:7000").label == "redis server at h:7000"


def test_plugin_when_asked_then_it_provides_every_scheme() -> None:
    """The specs carry the schemes' names and all options."""
    specs = tiercel_backends()
    assert {spec.name for spec in specs} == set(SCHEMES)
    assert all("max_connections" in spec.options for spec in specs)
