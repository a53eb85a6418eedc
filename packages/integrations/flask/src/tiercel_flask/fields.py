"""Key fields that Flask, and the extensions of it that many applications have, can tell."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Unpack

from flask import current_app, g, has_request_context, request

from tiercel.spi import ConfigurationError, KeyField, KeyFieldOptions, Part, Target
from tiercel_flask.web import current_user


class CurrentKeyField(KeyField):
    """A value of the request that is being served; None where none is."""

    name: str
    """What the value is called in the key."""

    @abstractmethod
    def read(self, request: Any) -> Any:
        """Return the value for the request, which is the one that is being served."""

    def parts(self, target: Target) -> Sequence[Part]:
        return [Part(self.name, extract=self._read)]

    def _read(self) -> Any:
        return self.read(request) if has_request_context() else None


class UserKeyField(CurrentKeyField):
    """Who is logged in: `g.user`, or the user of Flask-Login; None for everybody else.

    The user stands in the key by `get_id()`, or else by `id` or `pk`, or is a plain value. Views
    with this field keep private responses too, each for its user.

    Raises:
        ConfigurationError: At a call, if the user says in none of these ways who it is.
    """

    name = "user"
    identifies_user = True

    def read(self, request: Any) -> Any:
        user = current_user()
        if user is None or getattr(user, "is_authenticated", True) is False:
            return None
        if isinstance(user, (str, int)):
            return user
        if callable(getattr(user, "get_id", None)):
            return user.get_id()
        for name in ("id", "pk"):
            if getattr(user, name, None) is not None:
                return getattr(user, name)
        raise ConfigurationError(
            f"UserKeyField: a {type(user).__name__} has neither get_id() nor id nor pk: "
            "give its class one of them"
        )


class TenantKeyField(CurrentKeyField):
    """The tenant that a request is for.

    Args:
        source: The name of an attribute of `g`, or a function without arguments.
        options: As of `KeyField`.

    Raises:
        ConfigurationError: The source is neither, or a coroutine function.
    """

    name = "tenant"

    def __init__(
        self, source: str | Callable[[], Any] = "tenant", **options: Unpack[KeyFieldOptions]
    ) -> None:
        super().__init__(**options)
        known = isinstance(source, str) or callable(source)
        if not known or inspect.iscoroutinefunction(source):
            raise ConfigurationError(
                f"TenantKeyField needs a name in g or a plain function, not {source!r}"
            )
        self.source = source

    def read(self, request: Any) -> Any:
        return g.get(self.source) if isinstance(self.source, str) else self.source()


class LanguageKeyField(CurrentKeyField):
    """The language of the response.

    That is the locale of Flask-Babel, or else the best match of the request's `Accept-Language`
    among the languages that are given.

    Args:
        languages: What the application speaks, such as ["en", "de"].
        options: As of `KeyField`.

    Raises:
        ConfigurationError: `languages` is a text.
    """

    name = "language"

    def __init__(self, languages: Sequence[str] = (), **options: Unpack[KeyFieldOptions]) -> None:
        super().__init__(**options)
        if isinstance(languages, str):
            raise ConfigurationError(
                f"LanguageKeyField: languages={languages!r} must be a list such as ['en', 'de']"
            )
        self.languages = tuple(languages)

    def read(self, request: Any) -> Any:
        if "babel" in current_app.extensions:
            from flask_babel import get_locale

            return str(get_locale())
        return request.accept_languages.best_match(self.languages)


class TimezoneKeyField(CurrentKeyField):
    """The name of the time zone in which dates are shown: that of Flask-Babel, or `g.timezone`."""

    name = "timezone"

    def read(self, request: Any) -> Any:
        if "babel" in current_app.extensions:
            from flask_babel import get_timezone

            return str(get_timezone())
        zone = g.get("timezone")
        return None if zone is None else str(zone)
