"""The contract of web frameworks: what an integration shows of requests, and how responses keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

Headers = tuple[tuple[str, str], ...]


class StoredResponse(Struct, frozen=True, tag="response", weakref=True):
    """A response as it is kept: everything that goes over the wire, and nothing else.

    Attributes:
        status: The status code.
        headers: Names and values in their order; a name may come repeatedly.
        body: The whole body.
        life: Seconds that it asks to be kept, where the view said so; else None.
        varying: For each request header that `Vary` names, in lower case, what the request that
            brought it had; None where it had none.
    """

    status: int
    headers: Headers
    body: bytes
    life: float | None = None
    varying: tuple[tuple[str, str | None], ...] = ()

    def header(self, name: str) -> str | None:
        """Return the values of a header, joined by commas; None if it is not there."""
        wanted = name.lower()
        values = [value for key, value in self.headers if key.lower() == wanted]
        return ", ".join(values) if values else None


class Frozen(NamedTuple):
    """What became of a response.

    Attributes:
        stored: What can be kept; None if it is streamed, or a file, and longer than the limit, or
            if it is for nobody else but this client, whatever the key says.
        native: The response to send if it is not kept; nothing of it may have been lost.
        reason: Why it cannot be kept.
    """

    stored: StoredResponse | None
    native: Any
    reason: str = "it is streamed"


class WebRequest(ABC):
    """A request in one vocabulary, whatever the framework.

    Attributes:
        native: The framework's own request.
        view: The function that was called with it, undecorated; None outside of cached views.
    """

    native: Any
    view: Callable[..., Any] | None = None

    @property
    @abstractmethod
    def method(self) -> str:
        """The HTTP method in capitals."""

    @property
    @abstractmethod
    def scheme(self) -> str:
        """`http` or `https`."""

    @property
    @abstractmethod
    def host(self) -> str:
        """The host that the framework accepts as its own, with its port, in lower case."""

    @property
    @abstractmethod
    def path(self) -> str:
        """The path of the URL, without the query."""

    @property
    def fullpath(self) -> str:
        """The path with the query as it was sent."""
        query = self.query_string
        return f"{self.path}?{query}" if query else self.path

    @property
    @abstractmethod
    def query_string(self) -> str:
        """The query as it was sent."""

    @property
    @abstractmethod
    def query(self) -> Mapping[str, Sequence[str]]:
        """The query parameters, each with all its values."""

    @abstractmethod
    def header(self, name: str) -> str | None:
        """Return the values of a header, joined by commas; None if it was not sent."""

    def given(self, names: Sequence[str]) -> dict[str, str]:
        """Return those of several headers that were sent; names are in lower case."""
        found = ((name, self.header(name)) for name in names)
        return {name: value for name, value in found if value is not None}

    @property
    @abstractmethod
    def headers(self) -> Mapping[str, str]:
        """The headers; names are found in any case."""

    @property
    @abstractmethod
    def cookies(self) -> Mapping[str, str]:
        """The cookies."""

    @property
    @abstractmethod
    def user(self) -> Any:
        """Whoever the framework says is logged in.

        Raises:
            AttributeError: The framework knows of no users.
        """

    @property
    @abstractmethod
    def url_args(self) -> Mapping[str, Any]:
        """What the route took from the URL."""

    @property
    def session_touched(self) -> bool:
        """Whether the session of the request was read or written while it was served."""
        return False

    @property
    def has_credentials(self) -> bool:
        """Whether the client says, or the framework knows already, who is asking."""
        return self.header("authorization") is not None

    @property
    def variant(self) -> Any:
        """What else the framework has settled about the response, such as its language.

        Part of every key: plain values, or None.
        """
        return None

    def fingerprint(self, names: tuple[str, ...]) -> Hashable | None:
        """Return all that the key depends on, as quickly as it can be read.

        Requests whose fingerprints are equal must be equal in method, scheme, host, path, query,
        `url_args`, `variant` and the values of some headers; none of the parts may compare equal to
        one of another type.

        Args:
            names: The headers, in lower case.

        Returns:
            None if the key has to be built: where this is not known, or somebody has credentials.
        """
        return None

    @property
    def sends_anything(self) -> bool:
        """Whether the framework makes a response of whatever the view returns."""
        return False

    def attribute(self, name: str) -> Any:
        """Return an attribute that the framework, or the application, gave the request.

        Looked up on the framework's request; integrations add where else there is one.

        Raises:
            AttributeError: There is none.
        """
        return getattr(self.native, name)

    def says(self, name: str) -> bool:
        """Tell whether such an attribute is there, and true."""
        try:
            return bool(self.attribute(name))
        except AttributeError:
            return False


class WebFramework(ABC):
    """How views of a framework get their requests, and what they may return.

    Attributes:
        refusals: Errors that the framework raises when what it is asked for in a request makes it
            refuse that; it answers them itself.
    """

    refusals: tuple[type[Exception], ...] = ()

    @abstractmethod
    def request(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> WebRequest | None:
        """Return the request that a view was called with; None if it is none of this framework."""

    def adopt(
        self, view: Any, decorate: Callable[..., Any], options: Mapping[str, Any]
    ) -> Any | None:
        """Decorate a view that the framework has made, in the place of what it was made of.

        Asked only where a view is not simply a function or a method that somebody wrote.

        Args:
            view: What is to be decorated.
            decorate: Decorates what it is called with, by a `name` if given one; for one use of
                the decorator it is always the same.
            options: Those of `Cache.cached` that the user has given.

        Returns:
            What takes the place of the view; None: there is nothing special about it.

        Raises:
            ConfigurationError: An option cannot work with such a view.
        """
        return None

    @abstractmethod
    def is_response(self, result: Any) -> bool:
        """Tell whether the framework would send what a view returned as it is."""

    @abstractmethod
    def freeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        """Turn a response into one that can be kept, rendering it once if need be.

        Args:
            request: The request that it answers.
            response: What the view returned.
            limit: Bytes up to which a body that would be streamed is read; 0: none is.
        """

    async def afreeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        """Do what `freeze` does on the running event loop."""
        return self.freeze(request, response, limit)

    @abstractmethod
    def thaw(self, request: WebRequest, stored: StoredResponse) -> Any:
        """Make a response of the framework, new each time."""

    def thawing(self, status: int, headers: Headers) -> Callable[[WebRequest, bytes], Any]:
        """Return what makes responses that differ in nothing but their bodies.

        It is kept for as long as the headers of a response stay as they are, which is a second.
        Worth its own way where headers take long to make; without one it does what `thaw` does.

        Args:
            status: The status code.
            headers: All the headers.
        """
        return lambda request, body: self.thaw(request, StoredResponse(status, headers, body))
