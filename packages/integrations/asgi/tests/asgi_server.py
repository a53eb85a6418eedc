"""uvicorn in processes of its own, and requests over a connection each."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tiercel.testing.pages import Reply
from tiercel.testing.servers import HOST, free_port
from tools.environment import ROOT

PATIENCE = 60.0
"""Seconds that a server gets to start or to stop."""


class Server:
    """A running server.

    Args:
        port: Where it listens.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def send(
        self, target: str, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request over a connection of its own, so that any worker may get it."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        try:
            connection.request(method, target, headers=dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, tuple(response.getheaders()), response.read())
        finally:
            connection.close()


@contextmanager
def uvicorn(app: str, workers: int = 1, **environment: str) -> Iterator[Server]:
    """Serve an application, given as `module:attribute`, until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--host", HOST, "--port", str(port)]
    command += ["--workers", str(workers), "--log-level", "warning"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        with output.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | environment, stdout=log, stderr=log
            )
        try:
            server = Server(port)
            _wait_for(server, process, output)
            yield server
        finally:
            process.terminate()
            process.wait(PATIENCE)
        problems = output.read_text()
        assert "Traceback" not in problems, problems


def _wait_for(server: Server, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.send("/")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"no server on port {server.port}: {output.read_text()}")
