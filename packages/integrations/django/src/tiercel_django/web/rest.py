"""What Django REST framework adds: who asks, and which form of a response was agreed on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from tiercel_django.web.requests import DjangoRequest, Named
from tiercel_django.web.traces import is_session_touched


class RestRequest(DjangoRequest):
    """A request that a view of Django REST framework was called with.

    Before the view is called, the framework authenticates, and reads the session for it. So
    having been read says nothing here; whoever has a session at all counts as somebody instead.
    """

    def __init__(self, native: Any, args: Sequence[Any] = (), kwargs: Named | None = None) -> None:
        super().__init__(native, args, kwargs)
        self._read_for_nobody = bool(native.authenticators) and _is_read_and_empty(native)

    @property
    def has_credentials(self) -> bool:
        if super().has_credentials or self.native.successful_authenticator is not None:
            return True
        if getattr(self.native.user, "is_authenticated", False):
            return True
        return bool(self.native.authenticators) and _has_session(self.native)

    @property
    def session_touched(self) -> bool:
        if self._read_for_nobody:
            return not _is_read_and_empty(self.native)
        return is_session_touched(self.native)

    @property
    def user(self) -> Any:
        return self.native.user

    @property
    def variant(self) -> Any:
        """Besides language and time zone, the form and the version that were agreed on."""
        native = self.native
        renderer = getattr(native, "accepted_renderer", None)
        chosen = (
            getattr(native, "accepted_media_type", None),
            getattr(renderer, "format", None),
            getattr(native, "version", None),
        )
        return (*super().variant, *chosen)

    def fingerprint(self, names: tuple[str, ...]) -> Hashable | None:
        return None if self.has_credentials else super().fingerprint(names)


def negotiate(request: Any, response: Any) -> None:
    """Give a response what it needs to be rendered, where the framework has not done so yet.

    It does so when the view has returned, which is too late for what is to be kept.
    """
    if getattr(response, "accepted_renderer", None) is not None:
        return
    view = request.parser_context["view"]
    response.accepted_renderer = request.accepted_renderer
    response.accepted_media_type = request.accepted_media_type
    response.renderer_context = view.get_renderer_context()


def _is_read_and_empty(request: Any) -> bool:
    session = getattr(request, "session", None)
    return session is not None and session.accessed and not session.modified and session.is_empty()


def _has_session(request: Any) -> bool:
    session = getattr(request, "session", None)
    return session is not None and bool(session.accessed) and not session.is_empty()
