"""The examples of Duck's page on cached views as a project of Django; gunicorn runs it.

Each body ends with a number that no two renderings have in common, and each response says which
process sent it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse
from django.urls import path
from django.views import View

from tiercel import InMemoryCache, SkipViewCaching, cached_view

FOLDER = Path(os.environ.get("DUCK_FILES") or tempfile.gettempdir())


def shop(respond: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that gives requests what the examples read."""

    def serve(request: Any) -> HttpResponse:
        request.user = SimpleNamespace(id=request.headers.get("X-User", "nobody"))
        request.get_user_id = lambda: request.user.id
        request.compute_key = lambda method: hashlib.sha256(method.encode()).hexdigest()
        request.skip_cache = "skip" in request.GET
        request.debug_skip = "debug" in request.GET
        response = respond(request)
        response.headers["X-Process"] = str(os.getpid())
        return response

    return serve


def show(name: str) -> HttpResponse:
    """Return a page that was rendered just now."""
    return HttpResponse(f"{name} {uuid4()}")


def who(request: HttpRequest) -> HttpResponse:
    time.sleep(0.02)  # so that a second request at this moment is for the other worker
    return HttpResponse("me")


@cached_view(targets=["path", "method"])
def attributes(request: HttpRequest) -> HttpResponse:
    return show("attributes")


@cached_view(targets=["method"])
def other(request: HttpRequest) -> HttpResponse:
    return show("other")


@cached_view(targets=["method"])
def another(request: HttpRequest) -> HttpResponse:
    return show("another")


def static_mtime(request: HttpRequest, staticfile: str) -> float:
    """When the file changed that a view sends."""
    return (FOLDER / staticfile).stat().st_mtime_ns


@cached_view(targets={static_mtime: {"args": None}}, buffer=100_000)
def files(request: HttpRequest, staticfile: str) -> FileResponse:
    response = FileResponse((FOLDER / staticfile).open("rb"))
    response.headers["X-Rendered"] = str(uuid4())
    return response


@cached_view(targets={"get_user_id": {"args": ()}})
def request_callable(request: HttpRequest) -> HttpResponse:
    return show("request-callable")


@cached_view(targets={"compute_key": {"args": ("{request.method}",)}})
def request_callable_args(request: HttpRequest) -> HttpResponse:
    return show("request-callable-args")


def compute_hash(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


@cached_view(targets={compute_hash: {"args": ("{request.path}",)}})
def hashed(request: HttpRequest, name: str) -> HttpResponse:
    return show(name)


def greeting(who: str, *, path: str) -> str:
    return f"{who} at {path}"


@cached_view(
    targets={greeting: {"args": ("{request.user.id}",), "kwargs": {"path": "{request.fullpath}"}}}
)
def formatted(request: HttpRequest) -> HttpResponse:
    return show("formatted")


@cached_view(targets=["path"], namespace=lambda request: request.COOKIES.get("session_id"))
def dashboard(request: HttpRequest) -> HttpResponse:
    return show("dashboard")


def drop(request: HttpRequest, session: str) -> HttpResponse:
    dashboard.drop_namespace(session)
    return HttpResponse("dropped")


@cached_view(targets=["path"])
def skipping(request: HttpRequest) -> HttpResponse:
    return show("skipping")


@cached_view(targets=["path"], skip_cache_attr="debug_skip")
def debugging(request: HttpRequest) -> HttpResponse:
    return show("debugging")


class Component:
    """Something with state that belongs to one request."""

    def __init__(self) -> None:
        self.text = f"component {uuid4()}"
        self.bound = "made"

    def rebind_runtime_state(self) -> None:
        self.bound = "bound"


def rehydrate(component: Component) -> None:
    component.rebind_runtime_state()


@cached_view(targets=["path"], on_cache_result=rehydrate)
def component(request: HttpRequest) -> Component:
    return Component()


@cached_view(targets=["path"], returns_static_response=True)
def static_component(request: HttpRequest) -> Component:
    return Component()


def show_component(request: HttpRequest, kind: str) -> HttpResponse:
    make: Any = component if kind == "rehydrated" else static_component
    made = make(request)
    return HttpResponse(f"{made.bound} {made.text}")


class MyView(View):
    @cached_view(targets=["fullpath", "method"])
    async def run(self) -> HttpResponse:
        return show("class")

    async def get(self, request: HttpRequest) -> HttpResponse:
        return await self.run()


@cached_view(targets=["path"], expiry=0.3)
def short(request: HttpRequest) -> HttpResponse:
    return show("short")


@cached_view(targets=["path"], cache_backend=InMemoryCache(maxkeys=2048))
def own_backend(request: HttpRequest) -> HttpResponse:
    return show("own-backend")


def must_be_ready(request: HttpRequest) -> str:
    if "unready" in request.GET:
        raise SkipViewCaching
    return "ready"


@cached_view(targets={must_be_ready: None})
def prerequisite(request: HttpRequest) -> HttpResponse:
    return show("prerequisite")


urlpatterns: list[Any] = [
    path("who", who),
    path("attributes", attributes),
    path("other", other),
    path("another", another),
    path("files/<str:staticfile>", files),
    path("request-callable", request_callable),
    path("request-callable-args", request_callable_args),
    path("hashed/<str:name>", hashed),
    path("formatted", formatted),
    path("dashboard", dashboard),
    path("dashboard/drop/<str:session>", drop),
    path("skipping", skipping),
    path("debugging", debugging),
    path("component/<str:kind>", show_component),
    path("class", MyView.as_view()),
    path("short", short),
    path("own-backend", own_backend),
    path("prerequisite", prerequisite),
]


def make_app() -> Any:
    """Configure Django and return the project; gunicorn calls this in each worker."""
    cache = {"url": os.environ["DUCK_URL"], "codec": "pickle"}
    settings.configure(
        SECRET_KEY="tests only, and long enough for every check that Django makes of it",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[f"{__name__}.shop"],
        INSTALLED_APPS=["django.contrib.contenttypes", "tiercel_django"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        TIERCEL={"CACHES": {"default": cache}},
    )
    return get_wsgi_application()
