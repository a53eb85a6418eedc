"""Random histories of a function with an index: what is live, compared with a plain model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from packages.core.tests.stages import Stage
from tiercel import ArgsKeyField

LIVES = {0: 5.0, 1: 50.0, 2: 500.0}
"""How long an entry lives, by its page."""

users = st.integers(0, 2)
pages = st.integers(0, 2)


class IndexMachine(RuleBasedStateMachine):
    """Two processes call, drop and list; entries end; the store may lose the index."""

    kind = "shared"
    limit = 3

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(self.kind)
        self.live: dict[tuple[int, int], float] = {}
        key = {"user": ArgsKeyField("user", partition=True), "page": ArgsKeyField("page")}
        options: dict[str, Any] = {"key": key, "index": self.limit, "name": "model:f"}

        def page_of(user: int, page: int) -> str:
            return f"{user}/{page}"

        options["ttl"] = lambda result: LIVES[int(result[-1])]
        self.functions = [self.stage.cache.cached(**options)(page_of)]
        if self.stage.shares:
            self.functions.append(self.stage.process().cached(**options)(page_of))

    def teardown(self) -> None:
        self.stage.close()

    @property
    def now(self) -> float:
        """The time of the caches."""
        return self.stage.clock.monotonic()

    @rule(user=users, page=pages, which=st.integers(0, 1), refresh=st.booleans())
    def call(self, user: int, page: int, which: int, refresh: bool) -> None:
        """Fill an entry, if there is none or in any case."""
        function = self.functions[which % len(self.functions)]
        is_live = self.live.get((user, page), 0.0) > self.now
        (function.refresh if refresh else function)(user, page)
        if refresh or not is_live:
            self.live[user, page] = self.now + LIVES[page]

    @rule(user=users, which=st.integers(0, 1))
    def drop_partition(self, user: int, which: int) -> None:
        """Drop the entries of a user."""
        self.functions[which % len(self.functions)].delete_by_prefix(user)
        self.live = {call: end for call, end in self.live.items() if call[0] != user}
        self.stage.settle()

    @rule()
    def drop_all(self) -> None:
        """Drop everything."""
        self.functions[-1].invalidate_all()
        self.live = {}
        self.stage.settle()

    @rule(page=pages, which=st.integers(0, 1))
    def drop_matching(self, page: int, which: int) -> None:
        """Drop the entries of a page, of all users."""
        function = self.functions[which % len(self.functions)]
        complete = function.live_calls().complete
        matching = {call for call, end in self.live.items() if call[1] == page and end > self.now}
        dropped = function.delete_matching(page=page)
        assert dropped == len(matching) if complete else dropped <= len(matching)
        self.live = {c: e for c, e in self.live.items() if complete and c[1] != page}
        self.stage.settle()

    @rule(seconds=st.sampled_from([3.0, 30.0, 300.0]))
    def pass_time(self, seconds: float) -> None:
        """Let entries end."""
        self.stage.advance(seconds)

    @rule()
    def lose_the_index(self) -> None:
        """Have the store forget it."""
        if self.stage.shares:
            for name in self.stage.store.names():
                if name.startswith("index/"):
                    self.stage.store.evict(name)

    @invariant()
    def lists_what_is_live(self) -> None:
        """Nothing else; and everything, where it says so."""
        live = {call for call, end in self.live.items() if end > self.now}
        for function in self.functions:
            found = function.live_calls()
            listed = {tuple(args) for args, _ in found}
            assert listed <= live
            assert not found.complete or listed == live
            if self.kind == "memory":
                assert found.complete


@pytest.mark.parametrize("kind", ["memory", "two_tiers", "shared"])
@pytest.mark.parametrize("limit", [3, 1_000])
def test_index_when_anything_happens_agrees_with_the_model(kind: str, limit: int) -> None:
    """It never lists what is not live, and says when it may lack something."""
    machine = type("Machine", (IndexMachine,), {"kind": kind, "limit": limit})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
