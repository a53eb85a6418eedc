"""What workers run."""

from __future__ import annotations

from rq import get_current_job

from tiercel.spi import BadMessage, perform_message

PERFORM = "tiercel_rq.tasks.perform"
"""How jobs name `perform`."""


def perform(text: str) -> None:
    """Do the work of one message; RQ repeats the job if this raises.

    Raises:
        BadMessage: It is no task of Tiercel. The job goes to the failed ones at once.
        UnknownFunction: This worker does not know the function.
        Exception: The work failed.
    """
    try:
        perform_message(text)
    except BadMessage:
        _no_more_tries()
        raise


def _no_more_tries() -> None:
    job = get_current_job()
    if job is not None:
        job.retries_left = 0
