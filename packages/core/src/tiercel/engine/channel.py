"""How the memory tier of this process follows the shared tier (protocol rules 9 and 10)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tiercel.clock import Clock
from tiercel.contracts.backend import DropScopes, Poll
from tiercel.contracts.position import Announcement, Polled, Position
from tiercel.engine.effects import Steps
from tiercel.engine.journal import Journal
from tiercel.entry import FOREVER
from tiercel.errors import BackendError, BackendRefused
from tiercel.events import EventKind

log = logging.getLogger("tiercel.channel")


class Follower(Protocol):
    """The memory tier, as far as the channel moves it."""

    def drop_name(self, name: str) -> Any: ...

    def clear(self) -> Any: ...


class Channel:
    """The position of this process in the push channels, and how long they may be trusted.

    Attributes:
        max_lag: Seconds after which a drop elsewhere is certain to show here.
        trusted_until: Monotonic time until which what is in memory needs no validation.
        listeners: Called with each name that was announced; must be quick and never raise.
        journal: Takes down what was announced; None where acknowledged drops cannot get lost.
        reverted: Called when a channel has another past than the one that was followed.
        excused: Whether the next such find tells nothing new.
    """

    def __init__(self, memory: Follower, clock: Clock, max_lag: float) -> None:
        self._memory = memory
        self._clock = clock
        self._positions: dict[str, Position] = {}
        self.max_lag = max_lag
        self.trusted_until = float("-inf")
        self.listeners: tuple[Callable[[str], None], ...] = ()
        self.journal: Journal | None = None
        self.reverted: Callable[[], object] | None = None
        self.excused = False

    def trusted(self) -> bool:
        """Tell whether every drop older than `max_lag` has reached this process."""
        return self._clock.monotonic() < self.trusted_until

    def poll(self) -> Steps[bool]:
        """Fetch and apply what was announced since the last time.

        Trust counts from before the request was sent, and only once everything is applied. A
        channel that does not exist is opened by an empty announcement: without one, its loss
        would look like silence.

        Returns:
            Whether the channel was whole; if not, memory was emptied.
        """
        sent = self._clock.monotonic()
        polled: Mapping[str, Polled] = yield Poll(dict(self._positions), self.max_lag / 3)
        self._look_back(polled)
        accepted = [self._accept(name, channel) for name, channel in polled.items()]
        whole = all(accepted) and self._positions.keys() == polled.keys()
        if not whole:
            self._positions = {n: c.last for n, c in polled.items() if c.last is not None}
            self._memory.clear()
        if any(channel.last is None for channel in polled.values()):
            self.trusted_until = float("-inf")
            yield DropScopes((), FOREVER)
        else:
            self.trusted_until = sent + self.max_lag
        return whole

    def _look_back(self, polled: Mapping[str, Polled]) -> None:
        """Tell if the shared tier is in an earlier state, before anything is applied.

        A channel that was merely trimmed, or not read for long, goes on from where it was: that
        is a gap, so memory is emptied, but nothing that was dropped has come back.
        """
        excused, self.excused = self.excused, False
        if self.reverted is None or excused:
            return
        if any(_goes_back(self._positions.get(name), polled[name]) for name in polled):
            self.reverted()
            self.excused = False

    def _accept(self, name: str, polled: Polled) -> bool:
        """Apply the messages of one channel; False at any gap, loss or rollback."""
        at = self._positions.get(name)
        whole = at is not None
        for message in polled.messages:
            whole = whole and at is not None and _follows(message, at)
            at = message.position
            if self.journal is not None:
                self.journal.hear(name, message.names)
            for dropped in message.names:
                self._memory.drop_name(dropped)
                for hear in self.listeners:
                    hear(dropped)
        if polled.last is None or at != polled.last:
            return False
        self._positions[name] = polled.last
        return whole

    def reset(self) -> None:
        """Start anew, as after a fork: nothing in memory is trusted or kept."""
        self.trusted_until = float("-inf")
        self._positions = {}
        self._memory.clear()


def _follows(message: Announcement, at: Position) -> bool:
    position = message.position
    dense = position.epoch == at.epoch and position.number == at.number + 1
    return dense and message.previous == at.nonce


def _goes_back(at: Position | None, polled: Polled) -> bool:
    """Tell whether a channel is not the one that was followed up to this position."""
    last = polled.last
    if at is None:
        return False
    if last is None or last.epoch != at.epoch:
        return True
    if not polled.messages:
        return last != at
    first = polled.messages[0]
    return first.position.number == at.number + 1 and first.previous != at.nonce


class ChannelThread:
    """Keeps a channel current from a daemon thread.

    Attributes:
        running: Whether the thread runs in this process; after a fork it has to be started again.
    """

    def __init__(
        self,
        channel: Channel,
        run: Callable[[Steps[bool]], bool],
        tell: Callable[[EventKind, BaseException | None], None],
    ) -> None:
        """Prepare the thread.

        Args:
            channel: What to keep current.
            run: Carries out a poll.
            tell: Called when trust in the channel is gained or lost.
        """
        self._channel = channel
        self._run = run
        self._tell = tell
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.running = False

    def start(self) -> None:
        """Start the thread unless it runs."""
        with self._lock:
            if not self.running:
                self.running = True
                self._closed = threading.Event()
                threading.Thread(
                    target=self._keep_current,
                    args=(self._closed,),
                    name="tiercel-channel",
                    daemon=True,
                ).start()

    def close(self) -> None:
        """Let the thread end after its current poll."""
        self._closed.set()

    def forget(self) -> None:
        """Drop the thread that a fork left behind in the parent."""
        self.running = False
        self._lock = threading.Lock()
        self._channel.reset()

    def _keep_current(self, closed: threading.Event) -> None:
        try:
            self._follow(closed)
        finally:
            if self._closed is closed:
                self.running = False

    def _follow(self, closed: threading.Event) -> None:
        pause, trusted, refused = 0.0, False, False
        while not closed.wait(pause):
            lost: BackendError | None = None
            try:
                if not self._run(self._channel.poll()):
                    log.debug("push channel started anew: memory emptied")
                pause = 0.0 if self._channel.trusted() else 0.05
            except BackendError as error:
                level = logging.DEBUG
                if isinstance(error, BackendRefused) and not refused:
                    # No breaker opens and no call fails: nothing else would say so.
                    level, refused = logging.WARNING, True
                log.log(level, "push channel lost, so memory asks the shared tier: %s", error)
                lost, pause = error, min(max(pause * 2, 0.05), 1.0)
            if trusted != (lost is None and self._channel.trusted()):
                trusted = not trusted
                kind = EventKind.CHANNEL_TRUSTED if trusted else EventKind.CHANNEL_LOST
                self._tell(kind, lost)
