"""Servers, and one caller for each way of executing commands."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import hiredis
import pytest

from tiercel.spi import STAMPS_OFFSET, BackendLocation, Begin, Command, Fill, Granted, Key
from tiercel.testing.servers import HOST, RedisCluster, RedisServer
from tiercel_redis.backend import RedisBackend

_prefixes = (f"test{number}" for number in itertools.count())


class Caller:
    """Executes commands on one backend, from this thread or on an event loop of its own."""

    def __init__(self, url: str, *, asynchronous: bool = False, **location: Any) -> None:
        self.prefix = next(_prefixes)
        self.backend = RedisBackend(BackendLocation(url, self.prefix, **location))
        self._runner = asyncio.Runner() if asynchronous else None

    def __call__(self, command: Command[Any]) -> Any:
        if self._runner is None:
            return self.backend.execute(command)
        return self._runner.run(self.backend.aexecute(command))

    def key(self, name: str, partition: str = "p") -> Key:
        function = f"{self.prefix}:f"
        return Key(f"{function}:{name}", (function, f"{function}:{{{partition}}}"), partition)

    def begin(self, key: Key, **options: Any) -> Any:
        usual: dict[str, Any] = {"lease": 60.0, "stamp_life": 600.0, "token": os.urandom(16)}
        return self(Begin(key, **usual | options))

    def granted(self, key: Key, **options: Any) -> Granted:
        begun = self.begin(key, **options)
        assert isinstance(begun, Granted), begun
        return begun

    def fill(self, key: Key, body: bytes = b"value", life: float = 30.0, **options: Any) -> bytes:
        """Store something under current stamps and return what was stored."""
        granted = self.granted(key, force=True)
        stored = self.payload(granted, body)
        assert self(Fill(key, granted.token, stored, life, **options)) is True
        return stored

    @staticmethod
    def payload(granted: Granted, body: bytes = b"value") -> bytes:
        """Return bytes that carry the stamps where an entry's header does."""
        return b"h" * STAMPS_OFFSET + b"".join(stamp[:16] for stamp in granted.stamps) + body

    def close(self) -> None:
        self.backend.close()
        if self._runner is not None:
            self._runner.run(self.backend.aclose())
            self._runner.close()


def raw(value: Any) -> bytes:
    """Return a value as a server writes it; an exception as an error."""
    if isinstance(value, bytes):
        return b"$%d\r\n%b\r\n" % (len(value), value)
    if isinstance(value, bool):
        return b"#t\r\n" if value else b"#f\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, float):
        return b",%b\r\n" % str(value).encode()
    if isinstance(value, list):
        return b"*%d\r\n%b" % (len(value), b"".join(map(raw, value)))
    if isinstance(value, dict):
        pairs = b"".join(raw(part) for pair in value.items() for part in pair)
        return b"%%%d\r\n%b" % (len(value), pairs)
    return b"-%b\r\n" % str(value).encode() if isinstance(value, Exception) else b"$-1\r\n"


class Stranger:
    """A server that tells its past as Redis does, and gives to all else what it is told to."""

    def __init__(self) -> None:
        self.answer(None)
        self._listener = socket.create_server((HOST, 0))
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def answer(self, *replies: Any) -> None:
        """Give these replies in turn, again and again."""
        self._replies = itertools.cycle([raw(reply) for reply in replies])

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        asked = hiredis.Reader()
        with connection, suppress(OSError):
            while data := connection.recv(65536):
                asked.feed(data)
                answers = []
                while (command := asked.gets()) is not False:
                    told = command[:2] == [b"INFO", b"replication"]
                    answers.append(raw(b"role:master") if told else next(self._replies))
                connection.sendall(b"".join(answers))


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="session")
def cluster() -> Iterator[RedisCluster]:
    with RedisCluster() as running:
        yield running


@pytest.fixture(params=["server", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param).url)


@pytest.fixture
def open_caller() -> Iterator[Callable[..., Caller]]:
    """Open callers that are closed after the test."""
    opened: list[Caller] = []

    def open_one(url: str, **options: Any) -> Caller:
        patient: dict[str, Any] = {"timeout": 30.0}
        opened.append(Caller(url, **patient | options))
        return opened[-1]

    yield open_one
    for caller in opened:
        caller.close()


@pytest.fixture(params=["threads", "asyncio"])
def call(request: pytest.FixtureRequest, url: str, open_caller: Callable[..., Caller]) -> Caller:
    """A caller on every kind of server, from threads and from an event loop."""
    return open_caller(url, asynchronous=request.param == "asyncio")


@pytest.fixture(params=["threads", "asyncio"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "asyncio")


@pytest.fixture
def strange() -> Iterator[Stranger]:
    """A server whose replies the test makes up."""
    with closing(Stranger()) as server:
        yield server
