"""A cached view of Flask beside Flask-Caching: whole requests, and what the cache itself costs.

A whole request goes through the application's WSGI interface; its floor is the same view without
a cache, answering a text that is there already. What the cache itself costs is the time from the
call of the view to its response, each in a new request, beyond that of the view without a cache; it
is less than nothing where a kept response is had for less than Flask makes one of a text. Each
library serves one application, as in nearly every process; that of ours has a cache of each kind.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flask_caching
from flask import Flask
from flask.ctx import RequestContext
from measure import Row
from views_timing import medians_of_calls, medians_of_requests

from tiercel.testing.servers import RedisServer
from tiercel_flask import Tiercel

BODY = "x" * 10_000
FLOOR = "no cache: the floor"
PEERS = {
    "memory": "Flask-Caching, memory",
    "tiers": "Flask-Caching, Redis",
    "shared": "Flask-Caching, Redis",
}
GOALS = {"memory": 0.2, "tiers": 0.2, "shared": 0.5}
SECRET = "for the benchmarks only, and long enough to sign with"


ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "example.com",
    "HTTP_ACCEPT": "text/html",
    "HTTP_USER_AGENT": "bench",
    "wsgi.url_scheme": "http",
    "wsgi.input": io.BytesIO(),
    "wsgi.errors": io.StringIO(),
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


def _start(status: str, headers: Any, *_: Any) -> Callable[[bytes], object]:
    """Take note of nothing."""
    return bytes


def page() -> str:
    """Answer 10 kB as most views do that render a template."""
    return BODY


View = Callable[[], Any]


@dataclass(frozen=True)
class Site:
    """A view of an application.

    Attributes:
        app: The application.
        path: Where it has the view.
        view: The view.
    """

    app: Flask
    path: str
    view: View

    def send(self) -> None:
        """Answer one request."""
        result: Any = self.app({**ENVIRON, "PATH_INFO": self.path}, _start)
        size = sum(map(len, result))
        result.close()
        assert size == len(BODY), size

    def ask(self) -> RequestContext:
        """Return what stands around the call of a view: a new request."""
        return self.app.request_context({**ENVIRON, "PATH_INFO": self.path})

    def respond(self) -> None:
        """Call the view and make a response of what it returns, in a request."""
        self.app.make_response(self.view())


def _app() -> Flask:
    app = Flask(__name__)
    app.config["SECRET_KEY"] = SECRET
    return app


def _site(app: Flask, view: View, name: str = "page") -> Site:
    app.add_url_rule(f"/{name}", name, view)
    return Site(app, f"/{name}", view)


def _ours(url: str) -> dict[str, Site]:
    app = _app()
    app.config["TIERCEL_CACHES"] = {
        "memory": {},
        "tiers": {"url": url, "prefix": "tiers"},
        "shared": {"url": url, "prefix": "shared", "memory": 0},
    }
    tiercel = Tiercel(app)
    return {
        kind: _site(app, tiercel.cached_view(ttl=600, cache=kind, name=kind)(page), kind)
        for kind in app.config["TIERCEL_CACHES"]
    }


def _theirs(**config: Any) -> Site:
    app = _app()
    cache = flask_caching.Cache(app, config={"CACHE_DEFAULT_TIMEOUT": 600, **config})
    return _site(app, cache.cached(query_string=True)(page))


def rows() -> list[Row]:
    """Return all comparisons."""
    with RedisServer() as server:
        sites = _sites(server.url)
        for site in sites.values():
            for _ in range(3):
                site.send()
        found = [*_requests(sites), *_calls(sites)]
        for cache in sites["tiers"].app.extensions["tiercel"].caches.values():
            cache.close()
        return found


def _sites(url: str) -> dict[str, Site]:
    return {
        FLOOR: _site(_app(), page),
        **_ours(url),
        "Flask-Caching, memory": _theirs(CACHE_TYPE="SimpleCache"),
        "Flask-Caching, Redis": _theirs(CACHE_TYPE="RedisCache", CACHE_REDIS_URL=url),
    }


def _requests(sites: Mapping[str, Site]) -> list[Row]:
    timed = medians_of_requests({name: site.send for name, site in sites.items()})
    pairs = [(kind, peer) for kind in PEERS for peer in (FLOOR, PEERS[kind])]
    return [
        Row(f"Flask: whole request, {kind}", timed[kind], timed[peer], peer) for kind, peer in pairs
    ]


def _calls(sites: Mapping[str, Site]) -> list[Row]:
    timed = medians_of_calls({name: (site.respond, site.ask) for name, site in sites.items()})
    beyond = {name: each - timed[FLOOR] for name, each in timed.items()}
    return [
        Row(f"Flask: the cache itself, {kind}", beyond[kind], beyond[peer], peer, GOALS[kind])
        for kind, peer in PEERS.items()
    ]
