"""Tasks, and where they run: in this process, or behind a queue in another one.

task       a task of this process, and how one is performed
work       tasks that fill entries: refresh, warm, build
values     arguments as JSON that gives them back exactly, and arguments, those of a call
document   the text in which a task travels
inline  threadpool  aio   dispatchers that need nothing but this process
queue      the base of those that send tasks to workers; window, which ones; retries
handing    gives tasks to dispatchers so that no invalidation is lost
choice     which dispatcher somebody gets
"""

from __future__ import annotations

from tiercel.dispatch.aio import AsyncioDispatcher
from tiercel.dispatch.builtin import BUILTIN_DISPATCHERS
from tiercel.dispatch.choice import (
    checked_spec,
    configured_dispatcher,
    configured_options,
    crosses_processes,
    dispatcher_spec,
    make_dispatcher,
    out_of_reach,
)
from tiercel.dispatch.handing import ahand_over, hand_over
from tiercel.dispatch.inline import InlineDispatcher
from tiercel.dispatch.queue import COMMON_OPTIONS, QueueDispatcher
from tiercel.dispatch.retries import Retries
from tiercel.dispatch.task import FunctionTask, current_task
from tiercel.dispatch.threadpool import QueueFull, ThreadPoolDispatcher, WhenFull
from tiercel.dispatch.work import (
    matching_task,
    received_task,
    refresh_task,
    renewal_task,
    revalidation_task,
    warm_task,
    with_builds,
)
from tiercel.engine.dispatching import around_tasks

__all__ = [
    "BUILTIN_DISPATCHERS",
    "COMMON_OPTIONS",
    "AsyncioDispatcher",
    "FunctionTask",
    "InlineDispatcher",
    "QueueDispatcher",
    "QueueFull",
    "Retries",
    "ThreadPoolDispatcher",
    "WhenFull",
    "ahand_over",
    "around_tasks",
    "checked_spec",
    "configured_dispatcher",
    "configured_options",
    "crosses_processes",
    "current_task",
    "dispatcher_spec",
    "hand_over",
    "make_dispatcher",
    "matching_task",
    "out_of_reach",
    "received_task",
    "refresh_task",
    "renewal_task",
    "revalidation_task",
    "warm_task",
    "with_builds",
]
