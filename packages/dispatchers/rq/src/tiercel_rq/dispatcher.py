"""The dispatchers that put each task as a job into a queue of RQ."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

from redis import Redis
from rq import Queue, Retry, get_current_job
from rq.serializers import resolve_serializer

from tiercel.spi import ConfigurationError, Message, QueueDispatcher, check_number
from tiercel_rq import periodic
from tiercel_rq.connections import DEFAULT_TIMEOUT, bounded, check_connection, connect
from tiercel_rq.tasks import PERFORM

DEFAULT_QUEUE = "default"
WEEK = 7 * 24 * 3600


class JobDispatcher(QueueDispatcher):
    """What both dispatchers do once they have a queue.

    The first retry and each later one is made by RQ's scheduler. Who has used up all retries is
    kept in the `FailedJobRegistry` of the queue.
    """

    def __init__(
        self,
        *,
        at_front: bool = False,
        job_timeout: int = 180,
        result_ttl: int = 60,
        failure_ttl: int = WEEK,
        **common: Any,
    ) -> None:
        """Check the options; nothing is connected.

        Args:
            at_front: Put tasks before whatever waits in the queue already.
            job_timeout: Seconds that one try may take.
            result_ttl: Seconds for which RQ remembers a job that succeeded.
            failure_ttl: Seconds for which RQ keeps a job that failed for good.
            common: What every queue dispatcher understands.

        Raises:
            ConfigurationError: A value that cannot work.
        """
        super().__init__(**common)
        if not isinstance(at_front, bool):
            raise ConfigurationError(f"at_front must be True or False, not {at_front!r}")
        check_number("job_timeout", job_timeout, 1)
        # With 0, RQ stumbles over what a killed worker left, and performs the job once more.
        check_number("result_ttl", result_ttl, 1)
        check_number("failure_ttl", failure_ttl, 1)
        self.at_front = at_front
        self.job_timeout = job_timeout
        self.result_ttl = result_ttl
        self.failure_ttl = failure_ttl
        self._queue: Queue | None = None

    @abstractmethod
    def open_queue(self) -> Queue:
        """Return the queue of RQ."""

    def send(self, message: Message) -> None:
        """Enqueue a job; one with a delay waits for RQ's scheduler, never less than its time.

        Raises:
            redis.RedisError: The server did not take it.
        """
        options = self._job_options(f"{message.kind} of {message.function}")
        options["job_id"] = message.id
        if message.delay:
            at = datetime.now(UTC) + timedelta(seconds=message.delay)
            self._rq_queue().enqueue_at(not_before(at), PERFORM, message.text, **options)
        else:
            self._rq_queue().enqueue(PERFORM, message.text, **options)

    def in_worker(self) -> bool:
        """Tell whether the calling code is run as a job of any RQ queue."""
        return get_current_job() is not None

    def schedule(self, name: str, every: float, message: Message) -> bool:
        """Have RQ's scheduler send a message again and again, where one serves the queue."""
        options = self._job_options(f"{message.kind} of {message.function}, every {every:g} s")
        return periodic.plant(self._rq_queue(), name, every, message.text, options)

    def _rq_queue(self) -> Queue:
        if self._queue is None:
            self._queue = self.open_queue()
        return self._queue

    def _job_options(self, description: str) -> dict[str, Any]:
        # RQ's own description shows arguments, which logs are none of.
        return {
            "description": description,
            "at_front": self.at_front,
            "job_timeout": self.job_timeout,
            "result_ttl": self.result_ttl,
            "failure_ttl": self.failure_ttl,
            "retry": self._retry(),
        }

    def _retry(self) -> Retry | None:
        times = self.retries.max_retries
        if not times:
            return None
        pauses = [_at_least(self.retries.delay(attempt)) for attempt in range(1, times + 1)]
        return Retry(times, interval=pauses, enqueue_at_front=self.at_front)


class RQDispatcher(JobDispatcher):
    """Sends tasks to workers of RQ: `rq worker`."""

    name = "rq"

    def __init__(
        self,
        *,
        connection: str | Redis | None = None,
        serializer: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        **options: Any,
    ) -> None:
        """Check the options; nothing is connected.

        Args:
            connection: URL of the Redis, or a client; None: `RQ_REDIS_URL` or the local server.
            serializer: As workers have it: `pickle`, `json` or a dotted path; None: `pickle`.
            timeout: Seconds that Redis may take to answer, unless the connection is a client.
            options: See `JobDispatcher`.

        Raises:
            ConfigurationError: A value that cannot work.
        """
        super().__init__(**options)
        check_connection(connection)
        check_number("timeout", timeout, 0.001)
        self._connection = connection
        self._serializer = _checked_serializer(serializer)
        self._timeout = timeout

    def open_queue(self) -> Queue:
        """Return the queue, with a client that gives up soon."""
        return Queue(
            self.queue or DEFAULT_QUEUE,
            connection=connect(self._connection, self._timeout),
            serializer=self._serializer,
        )


class DjangoRQDispatcher(JobDispatcher):
    """Sends tasks to the queues in `RQ_QUEUES`: `manage.py rqworker`."""

    name = "django_rq"

    def __init__(self, **options: Any) -> None:
        """Check the options; nothing is connected.

        Raises:
            ConfigurationError: A value that cannot work, or django-rq does not know the queue.
        """
        super().__init__(**options)
        self._settings = _settings_of(self.queue or DEFAULT_QUEUE)

    def open_queue(self) -> Queue:
        """Return the queue; it is filled at once, not at the end of a transaction or request."""
        from django_rq import get_connection, get_queue

        name = self.queue or DEFAULT_QUEUE
        client = get_connection(name)
        if "USE_REDIS_CACHE" not in self._settings:
            client = bounded(client, DEFAULT_TIMEOUT)
        return get_queue(name, connection=client, commit_mode="auto")


def _settings_of(queue: str) -> Mapping[str, Any]:
    if find_spec("django_rq") is None:
        raise ConfigurationError(
            "dispatcher 'django_rq' needs django-rq: pip install 'tiercel-rq[django]'"
        )
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    try:
        queues: Mapping[str, Mapping[str, Any]] = getattr(settings, "RQ_QUEUES", {})
    except ImproperlyConfigured as error:
        raise ConfigurationError(
            "dispatcher 'django_rq' needs Django's settings: set DJANGO_SETTINGS_MODULE"
        ) from error
    if queue not in queues:
        known = ", ".join(sorted(queues)) or "none"
        raise ConfigurationError(f"RQ_QUEUES has no queue {queue!r}; it has: {known}")
    return queues[queue]


def not_before(at: datetime) -> datetime:
    """Round up to whole seconds, since RQ's scheduler rounds down."""
    return at if not at.microsecond else at.replace(microsecond=0) + timedelta(seconds=1)


def _at_least(seconds: float) -> int:
    """Return an interval that does not get shorter than this when RQ's scheduler cuts it."""
    return math.ceil(seconds) + 1 if seconds else 0


def _checked_serializer(given: str | None) -> Any:
    try:
        return resolve_serializer(given)
    except (ImportError, AttributeError, ValueError, NotImplementedError) as error:
        raise ConfigurationError(
            f"serializer must be 'pickle', 'json' or the path of one, not {given!r}"
        ) from error
