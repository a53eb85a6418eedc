"""The middleware around Django's ASGI application, served by uvicorn."""

from __future__ import annotations

import json

from packages.integrations.asgi.tests.asgi_server import uvicorn


def test_request_when_django_serves_it_then_it_has_a_scope() -> None:
    """Plain and coroutine views compute once in a request, and anew in the next one."""
    with uvicorn("packages.integrations.asgi.tests.asgi_django:app") as server:
        pairs = [
            json.loads(server.send(target).body)
            for target in ("/page", "/page", "/apage", "/apage")
        ]
    assert [len(set(pair)) for pair in pairs] == [1, 1, 1, 1]
    assert len({pair[0] for pair in pairs}) == 4
