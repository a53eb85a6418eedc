"""Key fields that read what middleware of Starlette and FastAPI left with a request."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Unpack

from tiercel import RequestValueKeyField
from tiercel.spi import ConfigurationError, RequestKeyFieldOptions, Target
from tiercel_asgi.requests import AsgiRequest

_IDENTITIES = ("id", "pk", "identity", "username", "display_name")


class SourceKeyField(RequestValueKeyField):
    """What stands at a dotted path from the request, or what a function makes of it.

    Args:
        source: A dotted path such as `state.tenant`, or a plain function of the request.
        options: As of `RequestKeyField`.

    Raises:
        ConfigurationError: The source is neither, or a coroutine function.
    """

    name: ClassVar[str]
    """What the value is called in the key."""
    default: ClassVar[str]
    """Where the value is, unless told otherwise."""

    def __init__(
        self,
        source: str | Callable[[Any], Any] | None = None,
        **options: Unpack[RequestKeyFieldOptions],
    ) -> None:
        chosen = self.default if source is None else source
        if inspect.iscoroutinefunction(chosen) or not (isinstance(chosen, str) or callable(chosen)):
            raise ConfigurationError(
                f"{type(self).__name__} needs a dotted path or a plain function, not {source!r}"
            )
        super().__init__(chosen if isinstance(chosen, str) else self.name, **options)
        self.source = chosen

    def read(self, request: Any) -> Any:
        return super().read(request) if isinstance(self.source, str) else self.source(request)

    def label(self, target: Target) -> str:
        return self.name


class UserKeyField(SourceKeyField):
    """Who is logged in, by `id`, `pk`, `identity`, `username` or `display_name`; None: nobody.

    Without a source, who `AuthenticationMiddleware` found, or else `request.state.user`.
    """

    name = "user"
    default = "user"
    identifies_user = True

    def read(self, request: Any) -> Any:
        user = AsgiRequest(request).user if self.source == "user" else super().read(request)
        return _identity_of(user)


class TenantKeyField(SourceKeyField):
    """The tenant that a request is for; by default `request.state.tenant`."""

    name = "tenant"
    default = "state.tenant"


class LanguageKeyField(SourceKeyField):
    """The language that a request is answered in; by default `request.state.language`."""

    name = "language"
    default = "state.language"


class TimezoneKeyField(SourceKeyField):
    """The time zone of whoever asks; by default `request.state.timezone`."""

    name = "timezone"
    default = "state.timezone"


def _identity_of(user: Any) -> Any:
    """Return what tells a user from others; plain values stand for themselves."""
    if user is None or isinstance(user, (str, int)):
        return user
    if not getattr(user, "is_authenticated", True):
        return None
    for name in _IDENTITIES:
        try:
            found = getattr(user, name, None)
        except NotImplementedError:  # as Starlette's BaseUser says of what it lacks
            continue
        if found is not None:
            return found
    raise AttributeError(f"{type(user).__name__} has none of: {', '.join(_IDENTITIES)}")
