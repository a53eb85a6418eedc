"""Every kind of URL reaches its server, and no message holds a password."""

from __future__ import annotations

import os
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tiercel.spi import BackendUnavailable, Key, Poll, Read
from tiercel.testing.servers import HOST, RedisSentinel, RedisServer, wait_until

Caller = Any  # conftest.py, which tests cannot import
SECRET = "s3cr:t/pässwörd"


def works(call: Caller) -> bool:
    """Store, read, follow the channel and be woken."""
    key = call.key("a")
    mailbox = call.backend.open_mailbox("w")
    granted = call.granted(key)
    call.begin(key, waiter="w")
    stored = call.fill(key, announce=True)
    assert granted.stamps
    woken = list(mailbox.receive(5.0)) == [key.text]
    mailbox.close()
    last = call(Poll({}, 0.0))["00"].last
    return bool(woken and call(Read(key)).payload == stored and last.number == 1)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A certificate for this machine, made by an authority of its own."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    (tmp_path / "names").write_text(f"subjectAltName=IP:{HOST}")
    signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", *signing, "-out", "server.crt", "-days", "1")
    return tmp_path


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_tls_when_the_certificate_is_trusted_then_it_works_and_otherwise_not(
    certificates: Path, open_caller: Callable[..., Caller], asynchronous: bool, scheme: str
) -> None:
    """The certificate is checked, by default against the system's authorities."""
    with RedisServer(tls=certificates) as server:
        url = f"{scheme}://{HOST}:{server.port}"
        trusting = f"{url}?ssl_ca_certs={certificates / 'ca.crt'}"
        assert works(open_caller(trusting, asynchronous=asynchronous))
        call = open_caller(url, asynchronous=asynchronous)
        with pytest.raises(BackendUnavailable, match="certificate"):
            call(Read(call.key("a")))


def test_tls_when_a_value_takes_many_records_then_every_byte_is_the_one_stored(
    certificates: Path, open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """A record holds 16 kB at most, and several may have arrived when the first one is read."""
    with RedisServer(tls=certificates) as server:
        url = f"rediss://{HOST}:{server.port}?ssl_ca_certs={certificates / 'ca.crt'}"
        call = open_caller(url, asynchronous=asynchronous)
        for size in (20_000, 60_000, 200_000, 1_000_000):
            key = call.key(str(size))
            stored = call.fill(key, os.urandom(size))
            assert call(Read(key)).payload == stored


def test_unix_socket_when_given_then_it_works(
    open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """A server without a port to reach is reached by its socket."""
    with RedisServer(unix=True) as server:
        url = f"redis+unix://{server.socket_path}?db=3"
        call = open_caller(url, asynchronous=asynchronous)
        assert works(call)
        assert server.command("-n", 3, "EXISTS", f"{call.key('a').text}!v") == "1"


@pytest.mark.parametrize("options", [{}, {"protocol": "3"}, {"client_name": "me", "db": "2"}])
def test_server_when_options_are_given_then_it_works_alike(
    server: RedisServer,
    open_caller: Callable[..., Caller],
    asynchronous: bool,
    options: dict[str, str],
) -> None:
    """Both protocol versions, a name and a database."""
    url = f"valkey://{HOST}:{server.port}"
    assert works(open_caller(url, asynchronous=asynchronous, options=options))


def test_sentinel_when_the_primary_dies_then_the_replica_is_used(
    open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """The service's primary is found, and found again after a failover."""
    with RedisSentinel() as sentinel:
        call = open_caller(sentinel.url, asynchronous=asynchronous)
        assert works(call)
        call = open_caller(sentinel.url, asynchronous=asynchronous, timeout=2.0)
        wait_until(lambda: serves(call), "the primary")
        sentinel.primary.kill()
        key = call.key("b")

        wait_until(lambda: serves(call, key), "the failover")
        assert sentinel.replica.command("EXISTS", f"{key.text}!v") == "1"


def serves(call: Caller, key: Key | None = None) -> bool:
    """Tell whether an entry can be filled."""
    try:
        call.fill(key or call.key("served"))
    except BackendUnavailable:
        return False
    return True


def test_password_when_right_then_it_works_and_otherwise_no_message_holds_it(
    open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """Neither a refused nor a wrong password shows in any error or its causes."""
    with RedisServer({"requirepass": SECRET}) as server:
        for protocol in ("2", "3"):
            right = f"redis://:{quote(SECRET, safe='')}@{HOST}:{server.port}/1?protocol={protocol}"
            assert works(open_caller(right, asynchronous=asynchronous))
        wrong = f"redis://user:not-{quote(SECRET, safe='')}@{HOST}:{server.port}"
        for call in (
            open_caller(wrong, asynchronous=asynchronous),
            open_caller(f"redis://{HOST}:{server.port}", asynchronous=asynchronous),
        ):
            with pytest.raises(BackendUnavailable, match="credentials") as caught:
                call(Read(call.key("a")))
            assert SECRET not in "".join(traceback.format_exception(caught.value))
        server.kill()
        call = open_caller(wrong, asynchronous=asynchronous)
        with pytest.raises(BackendUnavailable) as caught:
            call(Read(call.key("a")))
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_mailbox_when_there_is_no_server_then_it_is_unavailable(
    open_caller: Callable[..., Caller],
) -> None:
    """Opening fails as any command does, on one server and a Cluster."""
    for scheme in ("redis", "redis+cluster"):
        call = open_caller(f"{scheme}://{HOST}:1")
        with pytest.raises(BackendUnavailable):
            call.backend.open_mailbox("w")
        with pytest.raises(BackendUnavailable):
            call(Read(call.key("a")))


def test_describe_when_asked_then_it_tells_what_a_doctor_needs(
    url: str, open_caller: Callable[..., Caller]
) -> None:
    """Version and eviction policy are among the facts."""
    facts = open_caller(url).backend.describe()
    assert facts["redis_version"]
    assert facts["maxmemory_policy"] == "noeviction"
