"""A scope for `request_cached` around each task of the application's own."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Final

from celery.signals import task_postrun, task_prerun

from tiercel.spi import request_scope

_SCOPE: Final = "tiercel_scope"


def open_scopes() -> None:
    """Open a scope for every task that a worker of this process runs, and close it at its end.

    Also if the task fails or is retried. Call it once, where the Celery app is made. Tasks that
    Tiercel itself has sent have a scope without it.
    """
    task_prerun.connect(_open, dispatch_uid=f"{__name__}.open", weak=False)
    task_postrun.connect(_close, dispatch_uid=f"{__name__}.close", weak=False)


def _open(task: Any = None, **_: Any) -> None:
    stack = ExitStack()
    stack.enter_context(request_scope())
    setattr(task.request, _SCOPE, stack)


def _close(task: Any = None, **_: Any) -> None:
    stack = vars(task.request).pop(_SCOPE, None)
    if stack is not None:
        stack.close()
