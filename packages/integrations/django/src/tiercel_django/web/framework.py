"""What Tiercel asks of Django about views. Imports nothing of Django until that runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiercel.spi import Frozen, Headers, StoredResponse, WebFramework, WebRequest


def _is_loaded() -> bool:
    return "django.http.response" in sys.modules


class DjangoFramework(WebFramework):
    """Views of Django and of Django REST framework: functions, methods and coroutines."""

    def __init__(self) -> None:
        self._find: Callable[..., WebRequest | None] | None = None
        self._thaw: Callable[[StoredResponse], Any] | None = None

    def request(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> WebRequest | None:
        if self._find is None:
            if not _is_loaded():
                return None
            from django.core.exceptions import SuspiciousOperation

            from tiercel_django.web.requests import find_request

            self._find, self.refusals = find_request, (SuspiciousOperation,)
        return self._find(args, kwargs)

    def is_response(self, result: Any) -> bool:
        if not _is_loaded():
            return False
        from django.http.response import HttpResponseBase

        return isinstance(result, HttpResponseBase)

    def freeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        from tiercel_django.web.responses import freeze

        return freeze(request.native, response, limit)

    async def afreeze(self, request: WebRequest, response: Any, limit: int) -> Frozen:
        from tiercel_django.web.responses import afreeze

        return await afreeze(request.native, response, limit)

    def thaw(self, request: WebRequest, stored: StoredResponse) -> Any:
        if self._thaw is None:
            from tiercel_django.web.responses import thaw

            self._thaw = thaw
        return self._thaw(stored)

    def thawing(self, status: int, headers: Headers) -> Callable[[WebRequest, bytes], Any]:
        from tiercel_django.web.responses import thawing

        return thawing(status, headers)

    def adopt(
        self, view: Any, decorate: Callable[..., Any], options: Mapping[str, Any]
    ) -> Any | None:
        if "django.views" not in sys.modules and "django.utils.decorators" not in sys.modules:
            return None
        from tiercel_django.web.adopted import adopt

        return adopt(view, decorate, options)
