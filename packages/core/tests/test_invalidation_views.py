"""Rules on cached views: what a URL names is what a row maps to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import tiercel.web.requested
from packages.core.tests.ruled import Order
from packages.core.tests.web.toy import Request, Response, ToyIntegration
from tiercel import (
    ArgsKeyField,
    Cache,
    ConfigurationError,
    InvalidationRule,
    ViewKwargsKeyField,
    cache_response,
    cached_view,
)

pytestmark = pytest.mark.usefixtures("own_rules")

MAPPED = InvalidationRule(Order, field_mapping={"pk": "id"})


@pytest.fixture(autouse=True)
def _framework(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = SimpleNamespace(integrations={"toy": ToyIntegration()})
    monkeypatch.setattr(tiercel.web.requested, "default_registry", lambda: registry)


@pytest.mark.parametrize("field", [ArgsKeyField, ViewKwargsKeyField])
def test_view_when_a_row_changes_then_its_pages_are_rendered_anew(field: Any) -> None:
    """All query strings and methods of it, and no other row's."""
    cache, rendered = Cache(), list[int]()

    @cache_response({"pk": field("pk", partition=True)}, cache=cache, invalidates_on=[MAPPED])
    def detail(request: Request, pk: int) -> Response:
        rendered.append(pk)
        return Response(b"%d" % len(rendered), 200, [])

    view: Any = detail
    for pk in (1, 2):
        view(Request("/x"), pk=pk)
        view(Request("/x"), pk=pk)
    assert rendered == [1, 2]
    cache.changed(Order, new=Order(id=1))
    for pk in (1, 2):
        view(Request("/x"), pk=pk)
    assert rendered == [1, 2, 1]


def test_view_when_its_key_has_no_partition_then_a_rule_is_refused() -> None:
    """What the URL gave it is in every key of a view, but nothing can be dropped by it."""
    advice = r"add ArgsKeyField\('pk', partition=True\) to the key"
    with pytest.raises(ConfigurationError, match=advice):

        @cached_view(cache=Cache(), invalidates_on=[MAPPED])
        def detail(request: Request, pk: int) -> Response:
            raise NotImplementedError


def test_view_when_it_has_namespaces_then_the_pages_of_a_row_are_dropped_in_each() -> None:
    """Whose pages a row is on does not matter: what the URL says comes first in the key."""
    cache, rendered = Cache(), list[tuple[str, int]]()

    def detail(request: Request, pk: int) -> Response:
        rendered.append((request.target, pk))
        return Response(b"", 200, [])

    key = {"pk": ArgsKeyField("pk", partition=True)}
    decorate = cached_view(
        key, namespace=lambda request: request.target, cache=cache, invalidates_on=[MAPPED]
    )
    view: Any = decorate(detail)
    calls = [("/ann", 1), ("/bob", 1), ("/ann", 2)]
    for path, pk in calls:
        view(Request(path), pk=pk)
    cache.changed(Order, new=Order(id=1))
    rendered.clear()
    for path, pk in calls:
        view(Request(path), pk=pk)
    assert rendered == calls[:2]
