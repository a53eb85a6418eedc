"""The examples of Duck's page on cached views as an application of Flask; gunicorn runs it.

Each body ends with a number that no two renderings have in common, and each response says which
process sent it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from flask import Flask, Request, Response, g, send_file
from flask import request as current
from flask.views import View

from packages.integrations.flask.tests.making import SECRET
from tiercel import InMemoryCache, SkipViewCaching, cached_view
from tiercel_flask import Tiercel

FOLDER = Path(os.environ.get("DUCK_FILES") or tempfile.gettempdir())


class ShopRequest(Request):
    """A request with methods of its own."""

    def get_user_id(self) -> str:
        return self.headers.get("X-User", "nobody")

    def compute_key(self, method: str) -> str:
        return hashlib.sha256(method.encode()).hexdigest()


class Shop(Flask):
    request_class = ShopRequest


app = Shop(__name__)
app.config.update(SECRET_KEY=SECRET, TIERCEL_URL=os.environ.get("DUCK_URL"), TIERCEL_CODEC="pickle")
Tiercel(app)


@app.before_request
def load() -> None:
    g.user = SimpleNamespace(id=current.headers.get("X-User", "nobody"))
    g.skip_cache = "skip" in current.args
    g.debug_skip = "debug" in current.args


@app.after_request
def say_who(response: Response) -> Response:
    response.headers["X-Process"] = str(os.getpid())
    return response


def show(name: str) -> str:
    """Return a page that was rendered just now."""
    return f"{name} {uuid4()}"


@app.get("/who")
def who() -> str:
    time.sleep(0.02)  # so that a second request at this moment is for the other worker
    return "me"


@app.route("/attributes", methods=["GET", "POST"])
@cached_view(targets=["path", "method"])
def attributes() -> str:
    return show("attributes")


@app.get("/other")
@cached_view(targets=["method"])
def other() -> str:
    return show("other")


@app.get("/another")
@cached_view(targets=["method"])
def another() -> str:
    return show("another")


def static_mtime(request: Request, staticfile: str) -> float:
    """When the file changed that a view sends."""
    return (FOLDER / staticfile).stat().st_mtime_ns


@app.get("/files/<staticfile>")
@cached_view(targets={static_mtime: {"args": None}}, buffer=100_000)
def files(staticfile: str) -> Response:
    response = send_file(FOLDER / staticfile, etag=False, max_age=60)
    response.headers["X-Rendered"] = str(uuid4())
    return response


@app.get("/request-callable")
@cached_view(targets={"get_user_id": {"args": ()}})
def request_callable() -> str:
    return show("request-callable")


@app.get("/request-callable-args")
@cached_view(targets={"compute_key": {"args": ("{request.method}",)}})
def request_callable_args() -> str:
    return show("request-callable-args")


def compute_hash(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


@app.get("/hashed/<name>")
@cached_view(targets={compute_hash: {"args": ("{request.path}",)}})
def hashed(name: str) -> str:
    return show(name)


def greeting(who: str, *, path: str) -> str:
    return f"{who} at {path}"


@app.get("/formatted")
@cached_view(
    targets={greeting: {"args": ("{request.user.id}",), "kwargs": {"path": "{request.fullpath}"}}}
)
def formatted() -> str:
    return show("formatted")


@app.get("/dashboard")
@cached_view(targets=["path"], namespace=lambda request: request.cookies.get("session_id"))
def dashboard() -> str:
    return show("dashboard")


@app.get("/dashboard/drop/<session>")
def drop(session: str) -> str:
    dashboard.drop_namespace(session)
    return "dropped"


@app.get("/skipping")
@cached_view(targets=["path"])
def skipping() -> str:
    return show("skipping")


@app.get("/debugging")
@cached_view(targets=["path"], skip_cache_attr="debug_skip")
def debugging() -> str:
    return show("debugging")


class Component:
    """Something with state that belongs to one request."""

    def __init__(self) -> None:
        self.text = show("component")
        self.bound = "made"

    def rebind_runtime_state(self) -> None:
        self.bound = "bound"


def rehydrate(component: Component) -> None:
    component.rebind_runtime_state()


@cached_view(targets=["path"], on_cache_result=rehydrate)
def component(request: Request) -> Component:
    return Component()


@cached_view(targets=["path"], returns_static_response=True)
def static_component(request: Request) -> Component:
    return Component()


@app.get("/component/<kind>")
def show_component(kind: str) -> str:
    make: Any = component if kind == "rehydrated" else static_component
    made = make(current)
    return f"{made.bound} {made.text}"


class MyView(View):
    @cached_view(targets=["fullpath", "method"])
    async def dispatch_request(self) -> str:  # type: ignore[override]
        return show("class")


app.add_url_rule("/class", view_func=MyView.as_view("my_view"))


@app.get("/short")
@cached_view(targets=["path"], expiry=0.3)
def short() -> str:
    return show("short")


@app.get("/own-backend")
@cached_view(targets=["path"], cache_backend=InMemoryCache(maxkeys=2048))
def own_backend() -> str:
    return show("own-backend")


def must_be_ready(request: Request) -> str:
    if "unready" in request.args:
        raise SkipViewCaching
    return "ready"


@app.get("/prerequisite")
@cached_view(targets={must_be_ready: None})
def prerequisite() -> str:
    return show("prerequisite")
