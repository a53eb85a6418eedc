"""The request that is being served here, as the middleware knows it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from tiercel.spi import RequestScope


class Serving(RequestScope):
    """One request on its way through the application; views find it while the block runs.

    It is the scope of the request, too: both begin and end together.

    Attributes:
        scope: What ASGI says of it; the frameworks add to it as they route.
        made: The request as an object, once somebody has asked for it.
    """

    made: Request | None = None

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method = scope["method"]
        self.scope = scope
        self._receive = receive
        self._send = send

    @property
    def request(self) -> Request:
        """The request as an object, the same one each time."""
        if self.made is None:
            self.made = Request(self.scope, self._receive, self._send)
        return self.made
