"""Key fields of views: they read what was found out about the request that is being answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

from msgspec import Struct

from tiercel.contracts.key_field import KeyField, Part, Target
from tiercel.contracts.web import WebFramework, WebRequest
from tiercel.engine.state import Call


class Asked(Struct, eq=False):
    """What a request asks of a view.

    Attributes:
        request: The request.
        framework: The framework that it came through.
        targets: The values of the view's targets, by name.
        namespace: What keeps its entries apart from those of others.
        view: The class of the view, where it is a method.
        varying: The request headers that responses of the view vary with, as far as is known.
        somebody: Whether the key says for whom the response is.
        owner: The cached view.
        call: The call with its key, once that is known.
    """

    request: WebRequest
    framework: WebFramework
    targets: Mapping[str, Any] = {}
    namespace: Any = ""
    view: str = ""
    varying: Mapping[str, str | None] = {}
    somebody: bool = False
    owner: Any = None
    call: Call | None = None


STEERING: Final = (
    "forwarded",
    "front-end-https",
    "x-forwarded-host",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-script-name",
)
"""Headers that many applications take for the truth about a request, whoever sent them.

A response that one of them shaped must not be served to a request without it.
"""

_CLIENTS: Final = ("for=", "by=")

ASKED: Final[ContextVar[Asked | None]] = ContextVar("tiercel_asked", default=None)


def asked() -> Asked:
    """Return what is being asked here; only while a cached view is called."""
    found = ASKED.get()
    assert found is not None, "a key of a view is built for a request"
    return found


def native_request() -> Any:
    """Return the framework's request that is being answered here."""
    return asked().request.native


class AskedKeyField(KeyField):
    """One value of what is asked.

    Args:
        name: What it is called in the key.
        read: Reads it.
        partition: Entries are dropped together by this field.
        hash_value: Only a digest stands in the key.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[Asked], Any],
        *,
        partition: bool = False,
        hash_value: bool = False,
    ) -> None:
        super().__init__(partition=partition, hash_value=hash_value)
        self.name = name
        self.read = read

    def parts(self, target: Target) -> Sequence[Part]:
        return [Part(self.name, extract=lambda: self.read(asked()))]


def namespace_field() -> KeyField:
    """What isolates users or tenants from each other; dropped as a whole."""
    return AskedKeyField("namespace", lambda ask: ask.namespace, partition=True)


def target_field(name: str) -> KeyField:
    """The value of one target."""
    return AskedKeyField(name, lambda ask: ask.targets[name])


def view_fields() -> dict[str, KeyField]:
    """What is in the key of every view, so that no request is answered with that of another.

    Its class, what the URL gave it, what it varies with, what the framework has settled about it,
    and what led the request astray.
    """
    return {
        "view": AskedKeyField("view", lambda ask: ask.view),
        "url": AskedKeyField("url", lambda ask: dict(ask.request.url_args)),
        "varying": AskedKeyField("vary", lambda ask: dict(ask.varying), hash_value=True),
        "variant": AskedKeyField("variant", lambda ask: ask.request.variant),
        "steering": AskedKeyField("steering", lambda ask: _steering(ask.request), hash_value=True),
    }


def default_fields() -> dict[str, KeyField]:
    """What tells requests apart where nobody says what does."""
    return {
        "scheme": AskedKeyField("scheme", lambda ask: ask.request.scheme),
        "host": AskedKeyField("host", lambda ask: ask.request.host),
        "method": AskedKeyField("method", lambda ask: _reading(ask.request.method)),
        "path": AskedKeyField("path", lambda ask: ask.request.path),
        "query": AskedKeyField("query", lambda ask: _plain(ask.request.query), hash_value=True),
    }


def _steering(request: WebRequest) -> dict[str, str]:
    given = request.given(STEERING)
    if "forwarded" in given:  # who it is forwarded for is another client each time
        parts = given["forwarded"].replace(",", ";").split(";")
        kept = [each.strip() for each in parts if not each.strip().lower().startswith(_CLIENTS)]
        given["forwarded"] = ";".join(kept)
    return given


def _reading(method: str) -> str:
    """HEAD is answered from what GET brought."""
    return "GET" if method == "HEAD" else method


def _plain(query: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: list(values) for name, values in query.items()}
