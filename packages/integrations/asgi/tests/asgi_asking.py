"""Asking an application of FastAPI for pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI

from tiercel.testing.clients import AsgiClient
from tiercel.testing.pages import Reply


@contextmanager
def asking(app: FastAPI) -> Iterator[Callable[..., Reply]]:
    """Serve an application, and return what sends a GET."""
    with AsgiClient(app) as client:
        yield client.get


def told(reply: Reply) -> Any:
    """What a reply says, if all went well."""
    assert reply.status == 200, reply
    return json.loads(reply.body)
