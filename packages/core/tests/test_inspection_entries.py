"""What `explain` and `why` say of a call, in every state that its entry can be in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from packages.core.tests.stages import Stage
from tiercel import ArgsKeyField, InvalidationRule, KeyConstructor, changed
from tiercel.inspection import explain, why
from tiercel.inspection.keys import UnknownKey, parse_key
from tiercel.inspection.records import EntryState, as_builtins


class PageKey(KeyConstructor):
    user = ArgsKeyField("user", partition=True)
    kind = ArgsKeyField("kind", partition=True)
    page = ArgsKeyField("page")


RULES = [
    InvalidationRule("prices", field_mapping=InvalidationRule.ALL, name="everything"),
    InvalidationRule("users", field_mapping={"user": "id"}, name="of a user"),
    InvalidationRule("kinds", field_mapping={"user": "owner", "kind": "name"}, name="of a kind"),
]


class Scene:
    """A cached function with three rules on a cache whose time the test turns."""

    def __init__(self, kind: str = "two_tiers", **options: Any) -> None:
        self.stage = Stage(kind)
        self.cache = self.stage.cache

        def page(user: int, kind: str = "new", page: int = 1) -> str:
            return f"{user} {kind} {page}"

        decorated = self.stage.cached(key=PageKey, ttl=60, invalidates_on=RULES, **options)
        self.page: Any = decorated(page)
        self.function: Any = self.page.cached_function

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        return explain(self.function, args, kwargs)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene(stale=30)
    yield made
    made.stage.close()


def test_explain_when_nothing_is_there_then_the_plan(scene: Scene) -> None:
    """Key, fields, costs and rules are known without an entry; looking does not compute."""
    found = scene.explain(5, page=2)
    assert found.key == scene.page.get_cache_key(5, page=2)
    assert [(each.name, each.text, each.partition) for each in found.fields] == [
        ("user", "user=5", True), ("kind", "kind='new", True), ("page", "page=2", False),
    ]  # fmt: skip
    assert (found.served, found.shared.state) == ("function", EntryState.ABSENT)
    assert as_builtins(found.round_trips) == {"memory_hit": 0, "shared_hit": 1, "miss": 3}
    assert found.hit_ratio is None
    assert scene.page.stats().computations == 0


def test_explain_when_fresh_then_both_tiers_with_lives_and_size(scene: Scene) -> None:
    """Age and lives of both tiers agree; memory does not count what it only looks at."""
    scene.page(5)
    scene.stage.advance(10)
    found = scene.explain(5)
    assert found.shared.state == found.memory.state == EntryState.FRESH
    assert found.shared.age == pytest.approx(10, abs=0.1)
    assert found.shared.fresh_for == pytest.approx(50, abs=0.1)
    assert found.shared.remaining == pytest.approx(80, abs=0.1)
    assert found.memory.fresh_for == pytest.approx(50, abs=0.1)
    assert found.shared.size > 48
    assert [each.carried for each in found.stamps] == [True, True, True]
    assert [each.covers for each in found.stamps] == ["function", "partition", "partition"]
    assert found.calls["memory_hits"] == 0


def test_explain_when_ttl_is_over_then_stale(scene: Scene) -> None:
    """Within its grace an entry is stale, and still served; afterwards it is gone."""
    scene.page(5)
    scene.stage.advance(70)
    stale = scene.explain(5)
    assert (stale.shared.state, stale.served) == (EntryState.STALE, "shared")
    assert stale.shared.fresh_for == pytest.approx(-10, abs=0.1)
    scene.stage.advance(30)
    assert scene.explain(5).shared.state == EntryState.ABSENT


def test_explain_when_damaged_then_undecodable(scene: Scene) -> None:
    """Bytes that are no entry are told as such."""
    scene.page(5)
    text = scene.page.get_cache_key(5)
    cells = scene.stage.store._cells
    cell = cells[f"value/{text}"]
    cells[f"value/{text}"] = replace(cell, data=cell.data[:-4] + b"\xc1\xc1\xc1\xc1")
    assert scene.explain(5).shared.state == EntryState.UNDECODABLE
    assert "cannot be read" in why(text).why


def test_explain_when_server_is_gone_then_says_so(scene: Scene) -> None:
    """That nobody answers is an answer."""
    scene.page(5)
    scene.stage.store.unreachable = True
    found = scene.explain(5)
    assert found.shared.state == EntryState.UNAVAILABLE
    assert found.stamps == []
    assert "does not answer" in why(found.key).why


@pytest.mark.parametrize(
    ("source", "row", "rule", "covers"),
    [
        ("prices", {"id": 1}, "everything", "function"),
        ("users", {"id": 5}, "of a user", "partition"),
        ("kinds", {"owner": 5, "name": "new"}, "of a kind", "partition"),
    ],
)
@pytest.mark.usefixtures("own_rules")
def test_dropped_when_three_rules_could_have_then_the_right_one_is_named(
    source: str, row: dict[str, Any], rule: str, covers: str
) -> None:
    """Each of the rules drops the entry; the one that did is named, with its source."""
    scene = Scene()
    scene.page(5)
    assert {each.rule for each in scene.explain(5).rules} == {each.name for each in RULES}
    scene.stage.advance(3)
    changed(source, old=row, new=row)
    scene.stage.advance(4)
    found = scene.explain(5)
    reason = why(found.key)
    for last in (found.last_drop, reason.last_drop):
        assert last is not None
        assert (last.rule, last.source, last.covers) == (rule, source, covers)
        assert last.age == pytest.approx(4, abs=0.1)
    assert (found.shared.state, reason.entry.state) == ("dropped", "dropped")
    assert f"it was dropped by rule {rule!r} on {source} ({covers}) 4 s ago" in reason.why
    scene.stage.close()


@pytest.mark.usefixtures("own_rules")
def test_dropped_when_several_have_then_the_last_one_is_named() -> None:
    """Of two drops the later one counts; a fresh entry still tells who dropped the one before."""
    scene = Scene()
    scene.page(5)
    changed("users", new={"id": 5}, old={"id": 5})
    scene.stage.advance(1)
    changed("prices", new={"id": 5}, old={"id": 5})
    assert scene.explain(5).last_drop.rule == "everything"
    scene.page(5)
    found = scene.explain(5)
    assert (found.shared.state, found.last_drop.rule) == ("fresh", "everything")
    scene.stage.close()


def test_rules_when_they_concern_others_then_left_out(scene: Scene) -> None:
    """A rule is listed with the values that a row must have for it to drop this entry."""
    rows = {each.rule: each.row for each in scene.explain(7, "old").rules}
    assert rows == {
        "everything": {}, "of a user": {"id": "7"}, "of a kind": {"owner": "7", "name": "'old'"},
    }  # fmt: skip


def test_explain_in_memory_only_then_no_shared_tier() -> None:
    """A cache without a shared tier knows of its own drops."""
    scene = Scene("memory")
    scene.page(5)
    assert scene.explain(5).shared.state == EntryState.NO_TIER
    assert scene.explain(5).served == "memory"
    scene.page.delete_by_prefix(5)
    found = scene.explain(5)
    assert found.memory.state == EntryState.ABSENT
    assert (found.last_drop.rule, found.last_drop.covers) == ("", "partition")
    assert "no shared tier" in why(found.key).why


def test_explain_with_tags_then_their_stamps_count() -> None:
    """An entry that was dropped by a tag says so."""
    scene = Scene(tags=["shown", "user {user}"])
    scene.page(5)
    assert [each.covers for each in scene.explain(5).stamps][-2:] == ["tag", "tag"]
    scene.cache.drop_tags("user 5")
    found = scene.explain(5)
    assert [each.carried for each in found.stamps][-2:] == [True, False]
    assert (found.shared.state, found.last_drop.covers) == ("dropped", "tag")
    assert not why(found.key).complete
    scene.stage.close()


KNOWN = Scene()


@settings(deadline=None)
@given(st.integers(), st.text(max_size=300), st.integers())
def test_key_when_taken_apart_then_the_scopes_of_the_call(user: int, kind: str, page: int) -> None:
    """The text of a key tells its stamps, unless a digest stands for its partitions."""
    key = KNOWN.function.call((user, kind, page), {}).key
    parsed = parse_key(key.text)
    assert parsed.function is KNOWN.function
    if parsed.complete:
        assert (parsed.key.scopes, parsed.key.spread) == (key.scopes, key.spread)
    else:
        assert "#" in key.text


def test_why_of_nobodys_key_then_says_what_to_do() -> None:
    """A key of another application cannot be told about."""
    with pytest.raises(UnknownKey, match="--app"):
        why("tiercel:nobody.knows:v1:x")
