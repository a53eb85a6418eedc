"""Servers that are not what they seem, or do not let their user do everything."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from tiercel.spi import BackendUnavailable, DropKey, Fill, Held, Read
from tiercel.testing.servers import HOST, RedisCluster, RedisServer, free_port

Caller = Any  # conftest.py, which tests cannot import


def answer_numbers(listener: socket.socket) -> None:
    """Answer whatever is asked by a number, as no Redis does."""
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                while connection.recv(65536):
                    connection.sendall(b":1\r\n")


@pytest.fixture
def stranger() -> Iterator[str]:
    """The URL of a server that speaks the protocol, but is no Redis."""
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=answer_numbers, args=[listener], daemon=True).start()
        yield f"redis://{HOST}:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_server_when_it_is_no_redis_then_it_is_unavailable_and_nothing_else_is_said(
    stranger: str,
    open_caller: Callable[..., Caller],
    asynchronous: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever opens a connection in the background leaves no error behind."""
    call = open_caller(stranger, asynchronous=asynchronous)
    for _ in range(3):
        with pytest.raises(BackendUnavailable, match="INFO was answered by 1"):
            call(Read(call.key("a")))
    gc.collect()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_password_when_it_is_no_text_then_whoever_asks_is_told(
    stranger: str,
    open_caller: Callable[..., Caller],
    asynchronous: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What an environment variable with any bytes becomes; not told to the event loop's log."""
    options = {"password": "\udcff"}
    call = open_caller(stranger, asynchronous=asynchronous, options=options)
    with pytest.raises(UnicodeError):
        call(Read(call.key("a")))
    gc.collect()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_sentinel_when_it_names_no_primary_then_the_error_holds_no_credentials(
    open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """redis-py describes its clients in that error, in some versions with their passwords."""
    hosts = ",".join(f"{HOST}:{free_port()}" for _ in range(2))
    url = f"redis+sentinel://{hosts}/main?sentinel_password=hidden&sentinel_username=worker"
    call = open_caller(url, asynchronous=asynchronous)
    with pytest.raises(BackendUnavailable, match=r"No master found for 'main': .*Error") as it:
        call(Read(call.key("a")))
    assert not any(word in str(it.value) for word in ("hidden", "worker", "Pool", "object at"))


def test_server_when_it_is_part_of_a_cluster_then_the_error_says_which_url(
    cluster: RedisCluster, open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """Whether it is the wrong node for a key, or there is none for all of them."""
    call = open_caller(f"redis://{HOST}:{cluster.servers[0].port}", asynchronous=asynchronous)
    for act in (call.begin, lambda key: call(Read(key)), lambda key: call(DropKey(key))):
        with pytest.raises(BackendUnavailable, match=r"use a redis\+cluster:// URL"):
            act(call.key("a"))


@pytest.mark.parametrize("body", [b"", b"x" * 10_000])
def test_fill_when_its_waiters_cannot_be_woken_then_it_is_made(
    open_caller: Callable[..., Caller], asynchronous: bool, body: bytes
) -> None:
    """A user of Redis 7 may publish nowhere unless told otherwise."""
    with RedisServer() as server:
        server.command("ACL", "SETUSER", "app", "on", ">hidden", "~*", "+@all", "resetchannels")
        url = server.url.replace("redis://", "redis://app:hidden@")
        call = open_caller(url, asynchronous=asynchronous)
        key = call.key("a")
        granted = call.granted(key)
        assert isinstance(call.begin(key, waiter="someone"), Held)
        payload = call.payload(granted, body)
        assert call(Fill(key, granted.token, payload, 30.0, announce=True)) is True
        assert call(Read(key)).payload == payload
        assert server.command("EXISTS", f"{call.prefix}!stream") == "1"


def forward(source: socket.socket, target: socket.socket, drips: threading.Event) -> None:
    """Pass on what arrives; byte after byte, slowly, once told so."""
    with suppress(OSError):
        while data := source.recv(65536):
            if drips.is_set():
                drip(data, target)
            else:
                target.sendall(data)


def drip(data: bytes, target: socket.socket) -> None:
    """Send one byte after the other, each in time."""
    for byte in data:
        target.sendall(bytes([byte]))
        time.sleep(0.05)


def forward_each(listener: socket.socket, port: int, drips: threading.Event) -> None:
    """Connect whoever comes to a server, whose answers may drip."""
    with suppress(OSError), ExitStack() as opened:
        while True:
            near = opened.enter_context(listener.accept()[0])
            far = opened.enter_context(socket.create_connection((HOST, port)))
            for way in ((near, far, threading.Event()), (far, near, drips)):
                threading.Thread(target=forward, args=way, daemon=True).start()


@contextmanager
def dripping(port: int, drips: threading.Event) -> Iterator[int]:
    """Stand in front of a server that answers byte after byte once told so; yield the port."""
    with socket.create_server((HOST, 0)) as listener:
        way = threading.Thread(target=forward_each, args=[listener, port, drips], daemon=True)
        way.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        way.join()


def test_server_when_it_answers_byte_by_byte_then_nobody_waits_for_the_last(
    server: RedisServer, open_caller: Callable[..., Caller], asynchronous: bool
) -> None:
    """Each byte comes in time, and ten thousand of them would take eight minutes."""
    drips = threading.Event()
    with dripping(server.port, drips) as port:
        url = f"redis://{HOST}:{port}"
        call = open_caller(url, asynchronous=asynchronous, timeout=1.0)
        key = call.key("a")
        call.fill(key, b"x" * 10_000)
        drips.set()
        began = time.monotonic()
        with pytest.raises(BackendUnavailable, match="did not answer within"):
            call(Read(key))
        assert time.monotonic() - began < 60.0
