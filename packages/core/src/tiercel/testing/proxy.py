"""A TCP proxy in front of a server that tests share: the way to it breaks, the server does not."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

HOST = "127.0.0.1"
CHUNK = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""Value of SO_LINGER that makes `close` send a reset, as a server does that was killed."""


class TcpProxy:
    """Forwards connections on a free port to a server, until it is told to break them.

    Args:
        port: Port of the server on this machine.

    Attributes:
        port: Where the proxy listens, also while it is cut.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.heal()
        return self

    def __exit__(self, *_: object) -> None:
        self._flowing.set()
        self.cut()

    def heal(self) -> None:
        """Forward new connections again, and what was held back."""
        self._flowing.set()
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port))
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def cut(self) -> None:
        """Reset every connection and refuse new ones, as if the server had been killed."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # Closing alone would not end an `accept` that another thread waits in.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            broken, self._open = self._open, []
        for each in broken:
            _reset(each)

    def stall(self) -> None:
        """Accept connections and bytes, but pass nothing on, as if the server were paused."""
        self._flowing.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((HOST, self._target), timeout=30)
                server.settimeout(None)
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                self._flowing.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.shutdown(socket.SHUT_RD)  # wakes the thread that reads it
    connection.close()
