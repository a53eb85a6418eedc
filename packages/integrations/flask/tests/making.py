"""Applications for tests, with time that tests move."""

from __future__ import annotations

from typing import Any

from flask import Flask

from tiercel import Cache
from tiercel.testing import VirtualClock
from tiercel_flask import Tiercel

SECRET = "a secret of some length"


def make_app(clock: VirtualClock | None = None, **config: Any) -> tuple[Flask, Tiercel]:
    """Return an application and its Tiercel; given a clock, its cache is in memory."""
    app = Flask("shop")
    app.config.update(SECRET_KEY=SECRET, TESTING=True, **config)
    if clock is not None:
        app.config["TIERCEL_CACHES"] = {"default": Cache(clock=clock, name="default")}
    return app, Tiercel(app)


def hits(response: Any) -> bool:
    """Tell whether the cache answered."""
    return "; hit" in response.headers.get("Cache-Status", "")
