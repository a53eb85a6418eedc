"""Key fields that read the request, whatever the framework it comes from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from inspect import Parameter
from typing import Any, Final, Unpack

from tiercel.contracts.key_field import KeyField, KeyFieldOptions, Part, Target
from tiercel.errors import ConfigurationError
from tiercel.keys.lookup import (
    cookie_of,
    header_of,
    host_of,
    method_of,
    path_of,
    query_of,
    read_first,
    resolve,
)

_VIEWS: Final = ("self", "view")


class RequestKeyFieldOptions(KeyFieldOptions, total=False):
    """The options that all fields below take; described at `RequestKeyField`."""

    request_arg: str
    view_self_request_fallback: bool


class RequestKeyField(KeyField):
    """A value that is read from the request; the base of the fields below.

    Args:
        request_arg: The argument that holds the request.
        view_self_request_fallback: Use `self.request` where the function has no such argument.
        options: As of `KeyField`.
    """

    def __init__(
        self,
        *,
        request_arg: str = "request",
        view_self_request_fallback: bool = True,
        **options: Unpack[KeyFieldOptions],
    ) -> None:
        super().__init__(**options)
        self.request_arg = request_arg
        self.view_self_request_fallback = view_self_request_fallback

    @abstractmethod
    def read(self, request: Any) -> Any:
        """Return the value that goes into the key; raise AttributeError if there is none."""

    def label(self, target: Target) -> str:
        """What the value is called in the key."""
        return target.attribute

    def parts(self, target: Target) -> Sequence[Part]:
        label, read = self.label(target), self.read
        if self.request_arg in target.signature.parameters:
            return [Part(label, (self.request_arg,), read)]
        return [self._searching(target, label)]

    def _searching(self, target: Target, label: str) -> Part:
        """A part for a function that does not name the request: it is in **kwargs or the view."""
        name, read = self.request_arg, self.read
        keywords = target.parameter(Parameter.VAR_KEYWORD)
        first = next(iter(target.signature.parameters), None)
        view = first if self.view_self_request_fallback and first in _VIEWS else None
        arguments = tuple(each for each in (view, keywords) if each is not None)
        if not arguments:
            current = target.request
            if current is not None:
                return Part(label, extract=lambda: read(current()))
            target.require(name)

        def search(*values: Any) -> Any:
            found = values[-1].get(name) if keywords else None
            if found is None and view:
                found = read_first(values[0], "request")
            return read(found)

        return Part(label, arguments, search)


class RequestValueKeyField(RequestKeyField):
    """What a dotted path leads to, such as `user.pk` or `session.cart`.

    Args:
        path: Attributes or mapping keys. A mapping may lack the key, an object not the attribute.
        options: As of `RequestKeyField`.
    """

    def __init__(self, path: str, **options: Unpack[RequestKeyFieldOptions]) -> None:
        super().__init__(**options)
        self.path = path

    def read(self, request: Any) -> Any:
        return resolve(request, self.path)

    def label(self, target: Target) -> str:
        return self.path


class QueryParamsKeyField(RequestKeyField):
    """Query parameters, each with all its values; their order in the URL does not count.

    Args:
        params: The name of one, a sequence of names, or "*" for all.
        options: As of `RequestKeyField`.
    """

    def __init__(
        self, params: str | Sequence[str] = "*", **options: Unpack[RequestKeyFieldOptions]
    ) -> None:
        super().__init__(**options)
        self.params = (params,) if isinstance(params, str) else tuple(params)

    def read(self, request: Any) -> Any:
        query = query_of(request)
        if self.params == ("*",):
            return query
        return {name: query[name] for name in self.params if name in query}


class HeaderKeyField(RequestKeyField):
    """A header of the request, such as `Accept-Language`; None where it was not sent."""

    def __init__(self, name: str, **options: Unpack[RequestKeyFieldOptions]) -> None:
        super().__init__(**options)
        self.name = _named(name, "header")

    def read(self, request: Any) -> Any:
        return header_of(request, self.name)

    def label(self, target: Target) -> str:
        return self.name.lower()


class CookieKeyField(RequestKeyField):
    """A cookie of the request; None where it was not sent."""

    def __init__(self, name: str, **options: Unpack[RequestKeyFieldOptions]) -> None:
        super().__init__(**options)
        self.name = _named(name, "cookie")

    def read(self, request: Any) -> Any:
        return cookie_of(request, self.name)

    def label(self, target: Target) -> str:
        return self.name


class MethodKeyField(RequestKeyField):
    """The HTTP method."""

    def read(self, request: Any) -> Any:
        return method_of(request)


class HostKeyField(RequestKeyField):
    """The host that the request was sent to, with its port."""

    def read(self, request: Any) -> Any:
        return host_of(request)


class PathKeyField(RequestKeyField):
    """The path of the URL, without the query."""

    def read(self, request: Any) -> Any:
        return path_of(request)


def _named(name: Any, what: str) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"give the name of the {what} as text, not {name!r}")
    return str(name)
