"""What happens when the shared tier comes back in an earlier state (protocol rule 14)."""

from __future__ import annotations

import logging

from tiercel.contracts.reversal import Revertible
from tiercel.engine.journal import Journal
from tiercel.engine.state import Engine

log = logging.getLogger("tiercel")


def watch_reversals(engine: Engine, window: float) -> None:
    """Have what was dropped in the last `window` seconds dropped again, should it be taken back.

    Nothing changes where the shared tier never reverts, or the window is 0.
    """
    backend = engine.backend
    if not isinstance(backend, Revertible) or not window:
        return
    engine.pending.journal = journal = Journal(engine.clock, window)
    backend.reverted = lambda: reverted(engine)
    if engine.channel is not None:
        engine.channel.journal, engine.channel.reverted = journal, backend.reverted


def reverted(engine: Engine) -> None:
    """Owe again what may have been lost, so that none of it is read before it is dropped.

    Memory is emptied after that: what it got in the meantime may have come back, too.
    """
    owed = engine.pending.owe_again()
    if engine.memory is not None:
        engine.memory.clear()
    if engine.channel is not None:
        engine.channel.excused = True
    if owed and engine.keeper is not None:
        engine.keeper.attend()
    held_back = engine.reports.due("reversal") if owed else None
    if held_back is not None:
        what = "the shared tier came back in an earlier state; what was dropped lately is again"
        more = f" (and {held_back} more times before)" if held_back else ""
        log.warning("cache %r: %s: %d drops%s", engine.name, what, owed, more)
