"""What Tiercel keeps for each application, and which application is meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from flask import Flask, current_app, has_app_context

from tiercel import Cache, ConfigurationError

EXTENSION = "tiercel"


@dataclass(frozen=True, slots=True)
class State:
    """What one application has.

    Attributes:
        caches: Its caches by name; `default` is among them.
        default_timeout: Seconds that `cached` and `memoize` keep results where nobody says; None:
            without end.
        signals: Whether signals are sent.
        signing_keys: Derived of its secret keys.
        dispatcher_settings: Options of dispatchers, by their names.
    """

    caches: Mapping[str, Cache]
    default_timeout: float | None = 300.0
    signals: bool = False
    signing_keys: tuple[bytes, ...] = ()
    dispatcher_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_apps: WeakSet[Flask] = WeakSet()


def register(app: Flask, state: State) -> bool:
    """Keep what an application has; tell whether there are several applications now."""
    app.extensions[EXTENSION] = state
    _apps.add(app)
    return len(_apps) > 1


def only_app() -> Flask | None:
    """Return the application, if there is just one."""
    return next(iter(_apps)) if len(_apps) == 1 else None


def running_app() -> Flask | None:
    """Return the application that is running; outside of any, the only one there is."""
    if has_app_context():
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        return app
    return only_app()


def find_state() -> State | None:
    """Return what the running application has; None if it does without Tiercel."""
    app = running_app()
    return None if app is None else app.extensions.get(EXTENSION)


def current_state() -> State:
    """Return what the running application has.

    Raises:
        ConfigurationError: None is running, or it does without Tiercel.
    """
    state = find_state()
    if state is None:
        raise ConfigurationError(
            "no application that Tiercel knows of is running here: call Tiercel(app), and use it "
            "in a request or in app.app_context()"
        )
    return state
