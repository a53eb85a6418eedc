"""What Tiercel asks of Flask; answers "not mine" wherever no application is running.

Nothing here imports Flask: in processes that do without it, this is made, too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from tiercel.spi import Integration, WebFramework

if TYPE_CHECKING:
    from tiercel_flask.state import State


class FlaskIntegration(Integration):
    """Teaches Tiercel Flask. It is made in every process that has this package."""

    name = "flask"
    _web: WebFramework | None = None

    @property
    def web(self) -> WebFramework | None:  # type: ignore[override]
        """How views work; None as long as nobody has imported Flask."""
        if self._web is None and _is_loaded():
            from tiercel_flask.web import FlaskFramework

            self._web = FlaskFramework()
        return self._web

    def caches(self) -> Mapping[str, Any] | None:
        state = _state()
        return None if state is None else state.caches

    def signing_keys(self) -> tuple[bytes, ...]:
        state = _state()
        return () if state is None else state.signing_keys

    def dispatcher_options(self, name: str) -> Mapping[str, Any]:
        state = _state()
        return {} if state is None else state.dispatcher_settings.get(name, {})

    def around_task(self) -> AbstractContextManager[object]:
        """Tasks find the application as requests do, where there is only one it can be."""
        if not _is_loaded():
            return nullcontext()
        from flask import has_app_context

        from tiercel_flask.state import only_app

        app = None if has_app_context() else only_app()
        return nullcontext() if app is None else app.app_context()


def _is_loaded() -> bool:
    return "flask" in sys.modules


def _state() -> State | None:
    # No application has a state before this is imported, and it is asked for at each hit.
    module = sys.modules.get("tiercel_flask.state")
    found: State | None = None if module is None else module.find_state()
    return found
