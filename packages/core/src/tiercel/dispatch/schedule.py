"""Calls that are refreshed again and again, each time by one process of a cluster.

Time is cut into slots, the same for all processes. In each slot the first process to ask gets a
lease for it in the shared tier, and nobody gives that back: so exactly one has the refresh done,
whichever it is, as long as the clocks of hosts differ by less than a slot. Where a dispatcher has
a scheduler of its own that a cluster runs once, that one does it instead.
"""

from __future__ import annotations

import logging
import math
import os
import random
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

from tiercel.clock import SYSTEM_CLOCK, Clock
from tiercel.contracts.backend import Begin, Granted, Key
from tiercel.contracts.dispatcher import Dispatcher, Message
from tiercel.dispatch.aio import AsyncioDispatcher
from tiercel.dispatch.handing import hand_over
from tiercel.dispatch.inline import InlineDispatcher
from tiercel.dispatch.threadpool import ThreadPoolDispatcher
from tiercel.dispatch.work import refresh_task
from tiercel.engine import sync
from tiercel.engine.effects import Steps
from tiercel.engine.state import Call, Subject
from tiercel.errors import BackendError
from tiercel.keys.escape import digest

logger = logging.getLogger("tiercel.schedule")

Targets = Callable[[], Sequence[tuple[Subject, Call]] | None]
"""Returns what is to be refreshed, on each cache that has it; None once the function is gone."""

STAMP_LIFE: Final = 7 * 86_400.0

MOMENT: Final = 0.05
"""Seconds that nobody misses."""


class Repetition:
    """One call that is refreshed again and again, on every cache that its function is used on.

    Attributes:
        every: Seconds between two times.
        due: When the next slot begins, in seconds since the Unix epoch.
    """

    def __init__(self, targets: Targets, every: float, now: float) -> None:
        self.targets = targets
        self.every = every
        self.due = _end_of_slot(now, every)
        self._elsewhere: WeakKeyDictionary[Subject, bool] = WeakKeyDictionary()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether it has ended."""
        return self._stopped

    def stop(self) -> None:
        """End it in this process; what a dispatcher's own scheduler does stays as it is."""
        self._stopped = True

    def offer(self) -> None:
        """Let the schedulers of dispatchers take over what they can."""
        for subject, call in self.targets() or ():
            self.is_elsewhere(subject, call)

    def is_elsewhere(self, subject: Subject, call: Call) -> bool:
        """Tell whether the dispatcher's own scheduler sees to it; it is asked once."""
        if subject not in self._elsewhere:
            self._elsewhere[subject] = False
            self._elsewhere[subject] = self._handed_over(subject, call)
        return self._elsewhere[subject]

    def _handed_over(self, subject: Subject, call: Call) -> bool:
        dispatcher = subject.dispatcher()
        if not dispatcher.crosses_processes:
            return False
        task = refresh_task(subject, call)
        name = f"tiercel:{subject.name}:{digest(call.key.text)}"
        message = Message(task.to_json(), task.id, task.kind, task.function)
        return dispatcher.schedule(name, self.every, message)


class Schedule:
    """The repetitions of one process, and the thread that sees to them.

    Args:
        clock: Tells the time.
        threaded: Whether there is a thread; without one, call `tick`.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK, *, threaded: bool = True) -> None:
        self._clock = clock
        self._threaded = threaded
        self._repetitions: list[Repetition] = []
        self._pool = ThreadPoolDispatcher(max_workers=2)
        self.renew_after_fork()

    def add(self, targets: Targets, every: float) -> Repetition:
        """Refresh a call every so many seconds, from the next slot on."""
        repetition = Repetition(targets, every, self._clock.time())
        with self._lock:
            self._repetitions.append(repetition)
        self._wake()
        return repetition

    def settle(self) -> None:
        """Let the schedulers of dispatchers take over what they can, before it is due."""
        for repetition in self._living():
            _guarded(repetition.offer)

    def tick(self) -> float:
        """Do what is due; return the seconds until something is, infinite if nothing ever."""
        now = self._clock.time()
        for repetition in self._living():
            if repetition.due <= now:
                slot = math.floor(now / repetition.every)
                repetition.due = _end_of_slot(now, repetition.every)
                _guarded(partial(self._see_to, repetition, slot))
        waiting = [each.due for each in self._living()]
        return max(min(waiting, default=math.inf) - self._clock.time(), 0.0)

    def renew_after_fork(self) -> None:
        """Start anew in a child process: the thread belongs to the parent."""
        self._lock = threading.Lock()
        self._called = threading.Event()
        self._thread: threading.Thread | None = None
        if self._repetitions:
            self._wake()

    def _living(self) -> list[Repetition]:
        with self._lock:
            self._repetitions = [each for each in self._repetitions if not each.stopped]
            return list(self._repetitions)

    def _see_to(self, repetition: Repetition, slot: int) -> None:
        targets = repetition.targets()
        if targets is None:
            repetition.stop()
            return
        for subject, call in targets:
            if not repetition.is_elsewhere(subject, call):
                _guarded(partial(self._refresh, subject, call, repetition.every, slot))

    def _refresh(self, subject: Subject, call: Call, every: float, slot: int) -> None:
        turn = take_turn(subject, "every", f"{call.key.text} {every} {slot}", 2 * every)
        if sync.run(subject.engine, turn):
            hand_over(self.dispatcher(subject), refresh_task(subject, call))

    def dispatcher(self, subject: Subject) -> Dispatcher:
        """Return what carries the task; not this thread, which has others to see to."""
        dispatcher = subject.dispatcher()
        here = isinstance(dispatcher, InlineDispatcher | AsyncioDispatcher)
        return self._pool if here else dispatcher

    def _wake(self) -> None:
        self._called.set()
        with self._lock:
            if self._threaded and self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="tiercel-schedule", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        # In a child process, what other modules do after a fork comes first.
        self._called.clear()
        self._called.wait(MOMENT)
        while True:
            self._called.clear()
            pause = self.tick()
            # Processes do not ask for the same slot all at once.
            self._called.wait(None if pause == math.inf else pause + random.uniform(0.0, MOMENT))


def _end_of_slot(now: float, every: float) -> float:
    return (math.floor(now / every) + 1) * every


def _guarded(act: Callable[[], None]) -> None:
    try:
        act()
    except Exception:
        logger.exception("a repeated refresh failed; it is tried again at its next time")


def take_turn(subject: Subject, kind: str, turn: str, lease: float) -> Steps[bool]:
    """Take the right to do something that one process is to do; tell whether it is taken.

    Args:
        subject: The function that it is for.
        kind: What is to be done, as a part of keys.
        turn: Which time of doing it: of all that ask for the same one, one gets it.
        lease: Seconds that the right is kept.
    """
    if subject.backend is None:
        return True
    head = f"{subject.function_scope.name.rpartition('!')[0]}:{kind}"
    key = Key(f"{head}:{digest(turn)}", (f"{head}!",), head)
    try:
        begun = yield Begin(key, lease, max(STAMP_LIFE, 2 * lease))
    except BackendError as error:
        subject.report(f"no process could be chosen for what is to be done once ({kind})", error)
        return False
    return type(begun) is Granted


SCHEDULE: Final = Schedule()
"""The repetitions of this process."""


def settle_schedules() -> None:
    """Hand the repetitions that this process knows to the schedulers of their dispatchers.

    For the start of such a scheduler; else each is handed over when it is first due.
    """
    SCHEDULE.settle()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SCHEDULE.renew_after_fork)
