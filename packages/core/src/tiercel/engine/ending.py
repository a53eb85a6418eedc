"""What becomes of drops that are still owed to the shared tier when the process ends."""

from __future__ import annotations

import atexit
import logging
from typing import Final
from weakref import WeakSet

from tiercel.engine.state import Engine
from tiercel.engine.sync import run
from tiercel.errors import BackendError

log = logging.getLogger("tiercel")

TRIES: Final = 2
"""The first may do no more than find out that the shared tier was restarted meanwhile."""

_engines: WeakSet[Engine] = WeakSet()


def settle_at_end(engine: Engine) -> None:
    """Have what this cache owes tried once more at the end: of that nobody else knows."""
    _engines.add(engine)


def _settle(engine: Engine) -> None:
    engine.breaker.succeeded()  # there is no later at which to ask
    why: object = "it has not answered yet"
    for _ in range(TRIES):
        try:
            while run(engine, engine.pending.settle()):
                pass
        except BackendError as error:
            why = error
    if owed := len(engine.pending):
        what = "the process ends before the shared tier has acknowledged what it owes"
        log.warning("cache %r: %s: %d drops: %s", engine.name, what, owed, why)


@atexit.register
def _end() -> None:
    for engine in list(_engines):
        if engine.pending:
            _settle(engine)
