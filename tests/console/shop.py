"""A shop with a console: `python shop.py REDIS_URL PORT`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from time import sleep
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

OWNER = "ann"


@dataclass(frozen=True)
class Shop:
    """The processes of the shop, each with its port."""

    processes: tuple[tuple[int, subprocess.Popen[bytes]], ...]

    @property
    def ports(self) -> list[int]:
        """Where they listen."""
        return [port for port, _ in self.processes]

    def stop(self) -> None:
        """End all of them."""
        for _, process in self.processes:
            process.kill()
            process.wait()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def main(url: str, port: int) -> None:
    """Serve prices, and the console under `/ops`."""
    app = make_app(url)
    with make_server("127.0.0.1", port, app, _Server, _Quiet) as server:
        server.serve_forever()


def make_app(url: str) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """Return the shop as a WSGI application."""
    from tiercel import ArgsKeyField, InvalidationRule, KeyConstructor, cache_result, configure
    from tiercel.console import Console

    configure(default=url)
    computed = {"times": 0}

    class PriceKey(KeyConstructor):
        shop = ArgsKeyField("shop", partition=True)
        item = ArgsKeyField("item")

    @cache_result(
        key=PriceKey,
        ttl=600,
        name="shop.price",
        index=True,
        invalidates_on=[
            InvalidationRule("shops", field_mapping={"shop": "id"}, name="prices of a shop")
        ],
    )
    def price(shop: str, item: int) -> str:
        computed["times"] += 1
        sleep(0.02)
        return f"{shop} {item} {computed['times']}"

    console = Console(
        lambda environ: environ.get("HTTP_X_USER") == OWNER, actions=True, title="Shop caches"
    )

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if path == "/ops" or path.startswith("/ops/"):
            below = {"SCRIPT_NAME": "/ops", "PATH_INFO": path.removeprefix("/ops")}
            answer: Iterable[bytes] = console.wsgi({**environ, **below}, start)
            return answer
        shop, _, item = path.removeprefix("/price/").rpartition("/")
        body = price(shop, int(item)).encode()
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return app


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
