"""A worker that soon repeats what a killed one was at.

RQ keeps a job that is being performed in a registry, and its worker prolongs the job's stay there
now and then. A job whose worker was killed is found when its stay has ended, and is performed
again. Stock workers take their time: a stay lasts a minute longer than the interval between two
prolongations, and an idle worker looks for such jobs every seven minutes. The job then waits for
its next retry, for which a scheduler is needed, and the killed worker's may still have the lock.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rq import Worker
from rq.exceptions import AbandonedJobError
from rq.job import Job

_STAYS = 3
"""How many prolongations in a row a busy host may miss."""

_WAKES_EARLIER = 15
"""Seconds by which RQ has a waiting worker wake before its `worker_ttl` ends."""


class PromptWorker(Worker):
    """Repeats what a killed worker was at within `monitoring` x 3 + `maintenance` seconds.

    `rq worker --worker-class tiercel_rq.worker.PromptWorker`, and the same for django-rq's
    `rqworker`. Shorter intervals can be given to RQ's command; longer ones are cut.

    Attributes:
        monitoring: Seconds between two prolongations of a job that is being performed.
        maintenance: Seconds between two looks for jobs whose worker was killed.
    """

    monitoring: ClassVar[int] = 5
    maintenance: ClassVar[int] = 15

    def __init__(self, *args: Any, **options: Any) -> None:
        limits = {
            "job_monitoring_interval": self.monitoring,
            "maintenance_interval": self.maintenance,
            "worker_ttl": self.maintenance + _WAKES_EARLIER,
        }
        for name, limit in limits.items():
            options[name] = min(options.get(name) or limit, limit)
        super().__init__(*args, **options)
        self.push_exc_handler(repeat_at_once)  # type: ignore[no-untyped-call]

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Return the seconds that a job stays registered without being prolonged."""
        return _STAYS * int(self.job_monitoring_interval)


def repeat_at_once(job: Job, kind: type[BaseException], *_: object) -> bool:
    """Have a job whose worker was killed repeated without a pause: it did nothing wrong.

    RQ calls this for each job that did not succeed. The pauses before later retries stay.

    Returns:
        True: RQ goes on with what it does by itself.
    """
    if issubclass(kind, AbandonedJobError) and job.retry_intervals and job.retries_left:
        job.retry_intervals[max(len(job.retry_intervals) - job.retries_left, 0)] = 0
    return True
