"""Django's ASGI application inside the middleware."""

from __future__ import annotations

from itertools import count
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from tiercel import request_cached
from tiercel_asgi import TiercelMiddleware

settings.configure(
    ROOT_URLCONF=__name__, SECRET_KEY="long enough for a test", ALLOWED_HOSTS=["*"], MIDDLEWARE=[]
)
django.setup()
numbers = count()


@request_cached
def number() -> int:
    return next(numbers)


def page(request: HttpRequest) -> JsonResponse:
    return JsonResponse([number(), number()], safe=False)


async def apage(request: HttpRequest) -> JsonResponse:
    return JsonResponse([number(), number()], safe=False)


urlpatterns = [path("page", page), path("apage", apage)]
application: Any = get_asgi_application()
app = TiercelMiddleware(application)
