"""The console: who may see what, and which page answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from tiercel.console import pages
from tiercel.console.actions import ACTIONS
from tiercel.console.asgi import serve_asgi
from tiercel.console.exchange import ConsoleRequest, ConsoleResponse
from tiercel.console.guard import (
    FIELD,
    SAFE_HEADERS,
    is_forged,
    is_signed,
    set_cookie,
    sign,
    token_of,
)
from tiercel.console.rendering import render, style
from tiercel.console.watching import Watcher
from tiercel.console.wsgi import serve_wsgi
from tiercel.errors import BackendError, ConfigurationError, TiercelError, UnknownFunction
from tiercel.inspection import BadArguments

HTML: Final = ("Content-Type", "text/html; charset=utf-8")


class Console:
    """A few pages that show what caches do, in all processes; to mount in an application.

    Served by WSGI (`console.wsgi`), ASGI (`console.asgi`), or by an integration. What it shows is
    that of the process that serves it and of all that share a tier with it; functions are listed
    once their modules are imported.

    Example:
        console = Console(authorize=lambda environ: environ.get("REMOTE_USER") == "ann")
    """

    def __init__(
        self,
        authorize: Callable[[Any], Any],
        *,
        actions: bool = False,
        show_values: bool = False,
        caches: Sequence[str] = (),
        title: str = "Tiercel",
        wait: float = 2.0,
    ) -> None:
        """Prepare; nothing runs before the first page is asked for.

        Args:
            authorize: Gets the request of whatever serves the console, and returns whether it may
                be answered. Under ASGI it may be a coroutine function.
            actions: Whether there are buttons that drop, refresh and clear.
            show_values: Whether the values of entries are shown.
            caches: The names of the caches that are shown; none: all that are configured.
            title: Stands above every page.
            wait: Seconds that the first page in a minute waits for what other processes tell.

        Raises:
            ConfigurationError: Nothing says who may look.
        """
        if not callable(authorize):
            raise ConfigurationError(
                "the console shows nothing to nobody in particular: give authorize=, a function "
                "that gets the request and returns whether it may be answered"
            )
        self.authorize = authorize
        self._actions = actions
        self._show_values = show_values
        self._caches = tuple(caches)
        self._title = title
        self._watcher = Watcher(caches, wait)

    @property
    def wsgi(self) -> Callable[..., Any]:
        """The console as a WSGI application."""
        return serve_wsgi(self)

    @property
    def asgi(self) -> Callable[..., Any]:
        """The console as an ASGI application."""
        return serve_asgi(self)

    def close(self) -> None:
        """End the thread that watches; it ends by itself a minute after the last page."""
        self._watcher.close()

    def respond(self, request: ConsoleRequest, *, allowed: Any) -> ConsoleResponse:
        """Answer a request; may take seconds the first time, until other processes have told.

        Args:
            request: The request.
            allowed: What `authorize` has returned for it.
        """
        if not allowed:
            return self._page(request, 403, "message.html", message="You may not look at this.")
        if request.path == "/style.css":
            return _response(200, style(), ("Content-Type", "text/css; charset=utf-8"))
        try:
            if request.method == "POST":
                return self._act(request)
            if request.method not in ("GET", "HEAD"):
                return self._page(request, 405, "message.html", message="GET or POST only.")
            return self._show(request)
        except (UnknownFunction, BadArguments) as error:
            return self._page(request, 404, "message.html", message=str(error))
        except BackendError as error:
            return self._page(request, 503, "message.html", message=str(error))
        except TiercelError as error:
            return self._page(request, 400, "message.html", message=str(error))

    def _show(self, request: ConsoleRequest) -> ConsoleResponse:
        name, query = request.query.get("name", ""), request.query
        if request.path not in ("/", "/function", "/entry"):
            return self._page(request, 404, "message.html", message="There is no such page.")
        self._watcher.attend()
        if request.path == "/function":
            found = pages.function_page(self._watcher, name)
            return self._page(request, 200, "function.html", **found)
        if request.path == "/entry":
            found = pages.entry_page(name, query.get("call", ""), show_value=self._show_values)
            return self._page(request, 200, "entry.html", **found)
        found = pages.overview(self._watcher, self._caches)
        return self._page(request, 200, "overview.html", **found)

    def _act(self, request: ConsoleRequest) -> ConsoleResponse:
        action = ACTIONS.get(request.path)
        if action is None or not self._actions:
            return self._page(request, 403, "message.html", message="This console is read-only.")
        if is_forged(request):
            message = "This form did not come from a page of this console. Load the page again."
            return self._page(request, 403, "message.html", message=message)
        done = action(request.form)
        proof = sign(token_of(request), done)
        back = _link(request, request.form.get("back", "/"), done=done, proof=proof)
        return _response(303, b"", ("Location", back))

    def _page(
        self, request: ConsoleRequest, status: int, template: str, **context: Any
    ) -> ConsoleResponse:
        token, done = token_of(request), request.query.get("done", "")
        if not is_signed(token, done, request.query.get("proof", "")):
            done = ""  # somebody else wrote it into the address
        body = render(
            template,
            root=request.root,
            title=self._title,
            actions=self._actions,
            token=token,
            field=FIELD,
            done=done,
            here=_here(request),
            **context,
        )
        return _response(status, body, HTML, set_cookie(request, token))


def _here(request: ConsoleRequest) -> str:
    """Return path and query of this page, without what the last button has said."""
    said = ("done", "proof")
    query = {name: value for name, value in request.query.items() if name not in said}
    return f"{request.path}?{urlencode(query)}" if query else request.path


def _link(request: ConsoleRequest, back: str, **more: str) -> str:
    """Return the address of a page of this console; whatever else was asked for, its first."""
    path = back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"
    return f"{request.root}{path}{'&' if '?' in path else '?'}{urlencode(more)}"


def _response(status: int, body: bytes, *headers: tuple[str, str]) -> ConsoleResponse:
    length = ("Content-Length", str(len(body)))
    return ConsoleResponse(status, body, (*headers, length, *SAFE_HEADERS))
