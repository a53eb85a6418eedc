"""A cached view of Django beside `cache_page`: whole requests, and what the cache itself costs.

A whole request goes through Django's WSGI handler; its floor is the same view without a cache,
answering 10 kB that are there already. What the cache itself costs is the time from the call of
the view to its response, beyond that of the view without a cache.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from django.views.decorators.cache import cache_page
from measure import Case, Row
from views_timing import medians_of_requests

from tiercel import Cache, cached_view
from tiercel.testing.servers import RedisServer

BODY = "x" * 10_000
LIFE = 600
FLOOR = "no cache: the floor"
PEERS = {"memory": "locmem", "tiers": "django-redis", "shared": "django-redis"}
GOALS = {"memory": 0.2, "tiers": 0.2, "shared": 0.5}

View = Callable[[HttpRequest], Any]


def page(request: HttpRequest) -> HttpResponse:
    """Answer 10 kB."""
    return HttpResponse(BODY)


def rows() -> list[Row]:
    """Return all comparisons."""
    if not settings.configured:
        settings.configure()
    settings.SECRET_KEY = "for the benchmarks only, and long enough to sign with"
    with RedisServer() as server:
        url = f"redis://127.0.0.1:{server.port}"
        caches = {
            "memory": Cache(name="memory"),
            "tiers": Cache(f"{url}/3", name="tiers"),
            "shared": Cache(f"{url}/4?memory=0", name="shared"),
        }
        options = _options(url)
        with override_settings(**options):
            request_started.disconnect(close_old_connections)
            request_finished.disconnect(close_old_connections)
            found = _measured(_views(caches))
        for cache in caches.values():
            cache.close()
        return found


def _options(url: str) -> dict[str, Any]:
    return {
        "ALLOWED_HOSTS": ["example.com"],
        "MIDDLEWARE": ["django.middleware.common.CommonMiddleware"],
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
            "django-redis": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": f"{url}/5",
            },
        },
    }


def _views(caches: Mapping[str, Cache]) -> dict[str, View]:
    views: dict[str, View] = {FLOOR: page}
    for name, cache in caches.items():
        views[name] = cached_view(cache=cache, expiry=LIFE)(page)
    views["locmem"] = cache_page(LIFE)(page)
    views["django-redis"] = cache_page(LIFE, cache="django-redis")(page)
    return views


def _measured(views: Mapping[str, View]) -> list[Row]:
    module = ModuleType("urls_of_the_benchmark")
    places = {name: f"page{number}" for number, name in enumerate(views)}
    module.urlpatterns = [path(places[name], view) for name, view in views.items()]  # type: ignore[attr-defined]
    with override_settings(ROOT_URLCONF=module):
        handler = WSGIHandler()
        requests: dict[str, Case] = {
            name: _request(handler, place) for name, place in places.items()
        }
        calls: dict[str, Case] = {name: _call(views[name], places[name]) for name in views}
        for _ in range(3):
            for each in (*requests.values(), *calls.values()):
                each()
        return [*_of_requests(requests), *_of_calls(calls)]


def _of_requests(cases: Mapping[str, Case]) -> list[Row]:
    timed = medians_of_requests(cases)
    pairs = [(ours, peer) for ours in PEERS for peer in (FLOOR, PEERS[ours])]
    return [
        Row(
            f"Django: request, {ours}",
            timed[ours],
            timed[peer],
            peer,
            None if peer == FLOOR else 1.0,
        )
        for ours, peer in pairs
    ]


def _of_calls(cases: Mapping[str, Case]) -> list[Row]:
    timed = medians_of_requests(cases)
    beyond = {name: taken - timed[FLOOR] for name, taken in timed.items()}
    return [
        Row(f"Django: the cache itself, {ours}", beyond[ours], beyond[peer], peer, GOALS[ours])
        for ours, peer in PEERS.items()
    ]


def _environ(place: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": f"/{place}",
        "QUERY_STRING": "a=1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "example.com",
        "HTTP_ACCEPT": "text/html",
        "HTTP_USER_AGENT": "bench",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }


def _request(handler: WSGIHandler, place: str) -> Case:
    served: Any = handler

    def send() -> None:
        response = served(_environ(place), lambda status, headers, *_: None)
        size = sum(map(len, response))
        response.close()
        assert size == len(BODY), size

    return send


def _call(view: View, place: str) -> Case:
    """Each call gets a request of its own, as making one is part of the floor."""
    return lambda: view(WSGIRequest(_environ(place)))
