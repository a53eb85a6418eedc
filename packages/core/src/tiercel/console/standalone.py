"""Serving the console by itself, on this machine, at an address that cannot be guessed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tiercel.console.console import Console


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep addresses, which are secret, out of logs."""


class StandaloneConsole:
    """A server of the console; whoever knows its address may look.

    Attributes:
        url: The address.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, **options: Any) -> None:
        """Take the port.

        Args:
            host: The interface; with another than loopback, the address travels in the clear.
            port: 0 for any that is free.
            **options: Those of `Console`.

        Raises:
            OSError: The port is taken.
        """
        self._root = f"/{secrets.token_urlsafe(24)}"
        self._console = Console(lambda environ: True, **options)
        self._server = make_server(host, port, self._application, _Server, _Quiet)
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self._server.server_port}{self._root}/"

    def serve(self) -> None:
        """Answer requests until `close`, or an interrupt."""
        self._server.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """Stop answering, and give the port back."""
        self._console.close()
        self._server.shutdown()
        self._server.server_close()

    def _application(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        begins, rest = path[: len(self._root)], path[len(self._root) :]
        if not secrets.compare_digest(begins.encode(), self._root.encode()) or rest[:1] != "/":
            start_response("404 Not Found", [("Content-Length", "0")])
            return [b""]
        below = {**environ, "SCRIPT_NAME": self._root, "PATH_INFO": rest}
        return self._console.wsgi(below, start_response)  # type: ignore[no-any-return]
