"""Puts orders into the queue of a cluster.

django-q2 has no messages that wait. On its ORM broker a message is a row that is locked until a
time, so one that waits is a row that is locked from the start. For other brokers the order waits
in the table of schedules, which a cluster looks at every half a minute.

Modules of django-q2 cannot be imported before Django is set up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from tiercel_django_q.order import Order

PERFORM = "tiercel_django_q.tasks.perform"
"""How tasks name `perform`."""

PATIENCE = 1.0
"""Seconds that a Redis may take to answer, unless `Q_CLUSTER` says otherwise."""

MINUTE = 60
_MOST_MINUTES = 32_767


class ClusterQueue:
    """The queue of one cluster.

    Args:
        cluster: Its name; None: the default one, and in a worker the worker's own.
    """

    def __init__(self, cluster: str | None = None) -> None:
        from django_q.brokers import get_broker
        from django_q.conf import Conf

        self._cluster: str = cluster or Conf.CLUSTER_NAME
        self._has_scheduler: bool = Conf.SCHEDULER
        self._broker: Any = get_broker(self._cluster)
        if not Conf.DJANGO_REDIS:  # which lends a client that others use too
            _bound(self._broker.connection)

    def put(self, order: Order, delay: float = 0.0) -> None:
        """Put an order into the queue.

        Args:
            order: What to do.
            delay: Seconds before a worker may have it; never less.

        Raises:
            Exception: The broker, or the database, did not take it.
        """
        from django_q.brokers.orm import ORM

        if not delay:
            self._push(order, self._broker)
        elif type(self._broker) is ORM:
            self._push(order, _Waiting(self._broker, delay))
        elif self._has_scheduler:
            self._plan(order, delay)
        else:
            raise RuntimeError("Q_CLUSTER has 'scheduler': False, so no message can wait")

    def repeat(self, name: str, every: float, order: Order) -> bool:
        """Have an order performed again and again; whatever had this name before is replaced.

        Args:
            name: At most 100 characters.
            every: Seconds; django-q2 knows whole minutes only.
            order: What to do.

        Returns:
            Whether django-q2 can do that.

        Raises:
            Exception: The database did not take it.
        """
        from django_q.models import Schedule

        minutes = int(every // MINUTE)
        exact = every == minutes * MINUTE and 1 <= minutes <= _MOST_MINUTES
        if not exact or not self._has_scheduler:
            return False
        fields = {
            "func": PERFORM,
            "args": repr((order.write(),)),
            "kwargs": repr({"q_options": order.options()}),
            "schedule_type": Schedule.MINUTES,
            "minutes": minutes,
            "repeats": -1,
            "cluster": self._cluster,
        }
        named = Schedule.objects.filter(name=name)
        if not named.update(**fields):
            Schedule.objects.create(name=name, next_run=timezone.now(), **fields)
        # Names are not unique in that table: of processes that start together several may create
        # a row, and each of them keeps the same one.
        first = named.order_by("pk").values_list("pk", flat=True).first()
        named.exclude(pk=first).delete()
        return True

    def _push(self, order: Order, broker: Any) -> None:
        from django_q.tasks import async_task

        async_task(PERFORM, order.write(), q_options={**order.options(), "broker": broker})

    def _plan(self, order: Order, delay: float) -> None:
        from django_q.models import Schedule
        from django_q.tasks import schedule

        schedule(
            PERFORM,
            order.write(),
            q_options=order.options(),
            schedule_type=Schedule.ONCE,
            next_run=timezone.now() + timedelta(seconds=delay),
            cluster=self._cluster,
        )


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The ORM broker, as `async_task` uses it, for a message that nobody may take yet."""

    broker: Any
    delay: float

    @property
    def list_key(self) -> str:
        return str(self.broker.list_key)

    def enqueue(self, task: str) -> object:
        lock = timezone.now() + timedelta(seconds=self.delay)
        rows = self.broker.get_connection()
        return rows.create(key=self.list_key, payload=task, lock=lock).pk


def _bound(client: Any) -> None:
    """Make the client of a Redis give up soon.

    redis-py would try for several seconds to reach a server that is down, and whoever saves a
    model would wait for that.
    """
    if not hasattr(client, "set_retry"):
        return  # of another kind of broker
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as LostError
    from redis.retry import Retry

    given = client.connection_pool.connection_kwargs
    for name in ("socket_timeout", "socket_connect_timeout"):
        if given.get(name) is None:
            given[name] = PATIENCE
    # Not after a timeout: whoever waits would wait twice as long.
    client.set_retry(Retry(NoBackoff(), 1, supported_errors=(LostError,)))
