"""The table of attacks: each succeeds against a naive decorator, and fails against ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from tiercel.doors.view import cached_view
from tiercel.errors import ViewCachingError
from tiercel.testing.attacks import ATTACKS, FORMATS, Attack, Format
from tiercel.testing.pages import Client, Reply, naive, text

if TYPE_CHECKING:
    from tiercel.caches import Cache
    from tiercel.contracts.web import WebFramework, WebRequest
    from tiercel.testing.pages import Answer


class AttackTests:
    """Needs `serve_one`, `web` and the fixture `cache` of `IntegrationConformance`."""

    if TYPE_CHECKING:
        serve_one: Callable[..., AbstractContextManager[Client]]

        @property
        def web(self) -> WebFramework: ...

    @pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "-"))
    def test_attack_succeeds_against_a_naive_decorator_only(
        self, attack: Attack, cache: Cache
    ) -> None:
        """The row is a real one, and `cached_view` withstands it."""
        naively = naive(self.web, attack.naive)
        with self.serve_one(attack.page(), route=attack.route, decorate=naively) as client:
            replies = carry_out(attack, client)
        assert attack.succeeds(replies), f"no attack: {replies}"
        with self.serve_one(attack.page(), cache, route=attack.route, **attack.options) as client:
            replies = carry_out(attack, client)
        assert not attack.succeeds(replies), f"{attack.name}: {replies}"

    @pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.template)
    def test_format_shows_what_it_should_not_to_a_naive_decorator_only(self, row: Format) -> None:
        """Texts are filled in from names that a request means to show, or refused."""
        filled: list[str] = []

        def answer(request: WebRequest, body: bytes) -> Answer:
            filled.append(row.template.format(request=request.native))
            return text("seen")

        with self.serve_one(answer) as client:
            assert client.get().body == b"seen"
        assert row.leaks(filled[0])
        for targets in ({"path": {"args": (row.template,)}}, {len: {"args": row.template}}):
            with pytest.raises(ViewCachingError):
                cached_view(targets)(_view)

    def test_text_of_a_client_is_no_format(self, cache: Cache) -> None:
        """What a client sends is filled in as it is: braces in it mean nothing."""
        given: list[str] = []

        def note(filled: str) -> str:
            given.append(filled)
            return filled

        with self.serve_one(
            lambda request, body: text("seen"),
            cache,
            route="/item/{name}",
            targets={note: {"args": ("{request.fullpath}",)}},
        ) as client:
            assert client.send("/item/a?q={request.cookies}").status == 200
        assert given[-1] == "/item/a?q={request.cookies}"


def _view(request: Any) -> None:
    """Nothing is ever called by this."""


def carry_out(attack: Attack, client: Client) -> Sequence[Reply]:
    """Send what an attack consists of and return the replies in order."""
    if not attack.together:
        return [each.send(client) for each in attack.asks]
    with ThreadPoolExecutor(len(attack.asks)) as pool:
        return list(pool.map(lambda ask: ask.send(client), attack.asks))
