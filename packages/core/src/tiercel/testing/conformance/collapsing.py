"""Tasks that do the same work: which of them may be left out, and which must not (H8)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tiercel.contracts.dispatcher import Dispatcher
from tiercel.dispatch import QueueDispatcher
from tiercel.dispatch.window import CLOCK_SKEW
from tiercel.testing.conformance.bench import Bench
from tiercel.testing.conformance.promises import Promise, promised

CHANGES = 30
WINDOW = 2.0
"""Seconds; longer on a machine that cannot send ten messages within it."""


class CollapsingTests:
    """A change is never absorbed by work that may have looked before it."""

    make_dispatcher: Callable[..., Dispatcher]

    @promised(Promise.BACKGROUND)
    def test_same_work_when_it_runs_already_is_done_again(self, bench: Bench) -> None:
        """A running task may have read its source before the change, so it stands for itself."""
        gate = bench.gate()
        bench.send("hold", "same", str(gate))
        bench.await_records("same begun")
        bench.send("hold", "same", str(gate))
        bench.send("hold", "same", str(gate))
        gate.touch()
        bench.await_records("same ended", 2)

    def test_last_of_many_changes_is_always_seen(self, bench: Bench) -> None:
        """However tasks are collapsed, one of them looks after the last change."""
        board = bench.folder / "board"
        for number in range(1, CHANGES + 1):
            board.write_text(str(number), encoding="ascii")
            bench.send("observe", "seen", str(board))
            if number == 1:
                bench.await_records("seen")  # a first look after the last change would see it, too
            time.sleep(random.choice((0.0, 0.001, 0.02, 0.04)))
        last = str(CHANGES)
        bench.wait_for(
            lambda: any(record.saw == last for record in bench.records("seen")),
            f"a task that sees change {last}",
        )

    def test_duplicates_within_the_window_are_collapsed(self, bench: Bench) -> None:
        """Of many tasks that do the same work at once, a queue gets two: now and later."""
        kind = type(bench.dispatcher)
        if not issubclass(kind, QueueDispatcher) or not kind.default_dedup_window:
            pytest.skip("not offered: a window in which duplicates are collapsed")
        if bench.mode == "async":
            pytest.skip("not offered: it is the same in either mode")
        label, start, window = self._send_duplicates(bench)
        later = bench.await_records(label, 2)[1]
        assert later.at - start > window - 2 * CLOCK_SKEW, "it was to be held back"
        time.sleep(window)
        bench.settle()
        assert len(bench.records(label)) == 2

    def _send_duplicates(self, bench: Bench) -> tuple[str, float, float]:
        """Send ten within one window; return their label, when that began, and how long it is."""
        window = WINDOW
        while True:
            dispatcher = self.make_dispatcher(queue=bench.queue, dedup_window=window)
            label, start = f"same for {window:g} s", time.time()
            for _ in range(10):
                bench.dispatch(bench.task("note", label), dispatcher)
            if time.time() - start < window - 2 * CLOCK_SKEW:
                return label, start, window
            window *= 4
