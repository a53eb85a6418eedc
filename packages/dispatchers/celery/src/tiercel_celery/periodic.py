"""Periodic tasks in the schedule of Celery beat."""

from __future__ import annotations

from typing import Any

from celery.signals import beat_init

from tiercel.spi import settle_schedules


def join_beat() -> None:
    """Take part in the start of `celery beat`, should this process be one."""
    beat_init.connect(_on_start, weak=False)


def _on_start(sender: Any, **_: Any) -> None:
    """Add what functions of this process want to be done again and again.

    Beat has read the schedule of its app already, so it is told of what has been added since.
    """
    settle_schedules()
    sender.scheduler.update_from_dict(sender.app.conf.beat_schedule)
