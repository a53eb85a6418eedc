"""A process that has this package and does not use Flask."""

from __future__ import annotations

from tests.sites.absent import imported_of


def test_process_when_it_does_without_flask_then_nothing_of_it_is_imported() -> None:
    """Where this package is installed but Flask is not used, it costs nothing."""
    assert imported_of("flask", "werkzeug", "jinja2", "click") == []
    assert imported_of("msgspec") == ["msgspec"]  # what is imported is noticed
