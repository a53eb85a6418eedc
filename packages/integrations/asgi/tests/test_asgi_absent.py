"""A process that has this package and does not use Starlette."""

from __future__ import annotations

from tests.sites.absent import imported_of


def test_process_when_it_does_without_starlette_then_nothing_of_it_is_imported() -> None:
    """Where this package is installed but no ASGI framework is used, it costs nothing."""
    assert imported_of("starlette", "fastapi", "pydantic", "anyio") == []
