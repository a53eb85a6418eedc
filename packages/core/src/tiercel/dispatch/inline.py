"""The dispatcher that does the work at once, where it is asked to."""

from __future__ import annotations

from tiercel.contracts.dispatcher import Dispatcher, Task
from tiercel.dispatch.task import aperform, perform, refuse_on_event_loop


class InlineDispatcher(Dispatcher):
    """Performs each task before `dispatch` returns; a failure is logged, not raised."""

    name = "inline"
    performs_at_once = True

    def dispatch(self, task: Task) -> None:
        """Perform the task in this thread.

        Raises:
            RuntimeError: It is asynchronous, and this thread runs an event loop.
        """
        refuse_on_event_loop(task)
        perform(task)

    async def adispatch(self, task: Task) -> None:
        """Perform the task on the running event loop, or in a thread if it would block it."""
        await aperform(task)
