"""Celery workers drop, refresh and warm the entries of Tiercel.

Importing this package makes the task known to every Celery app of the process, and the schedules
of periodic tasks to a beat; a module that decorates with `dispatcher="celery"` imports it.

plugin.py       the entry point      dispatcher.py  sends tasks
apps.py         which Celery app     publisher.py   confirmed and bounded in time
tasks.py        what a worker runs   queues.py      queues with dead letters and priorities
periodic.py     what beat schedules  scopes.py      request-cached functions in tasks
"""

from __future__ import annotations

from tiercel_celery.apps import install
from tiercel_celery.periodic import join_beat
from tiercel_celery.queues import queue
from tiercel_celery.scopes import open_scopes
from tiercel_celery.tasks import perform

__all__ = ["install", "open_scopes", "perform", "queue"]

join_beat()
