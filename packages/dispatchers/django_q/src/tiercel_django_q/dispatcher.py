"""The dispatcher that puts each task into the queue of a cluster of django-q2."""

from __future__ import annotations

import hashlib
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from tiercel.spi import (
    ConfigurationError,
    Message,
    QueueDispatcher,
    Task,
    check_number,
    check_text,
)
from tiercel_django_q.broker import ClusterQueue
from tiercel_django_q.order import Order

_LONGEST_NAME = 100


class DjangoQDispatcher(QueueDispatcher):
    """Sends tasks to clusters of django-q2: `manage.py qcluster`.

    The plugin makes the retries itself. A task that has used them up is kept by django-q2 as a
    failed task.
    """

    name = "django_q"

    def __init__(
        self,
        *,
        group: str = "tiercel",
        save: bool = False,
        timeout: int | None = None,
        **common: Any,
    ) -> None:
        """Check the options and Django's settings; nothing is connected.

        Args:
            group: Group of the tasks, as the admin shows it.
            save: Keep tasks that succeeded, as `Q_CLUSTER["save_limit"]` says.
            timeout: Seconds that one try may take; None: as the cluster is configured.
            common: What every queue dispatcher understands; `queue` is the name of a cluster.

        Raises:
            ConfigurationError: A value that cannot work, or the settings do not have such a
                cluster.
        """
        super().__init__(**common)
        check_text("group", group)
        if len(group) > _LONGEST_NAME:
            raise ConfigurationError(f"group has {len(group)} characters, and 100 are possible")
        if not isinstance(save, bool):
            raise ConfigurationError(f"save must be True or False, not {save!r}")
        if timeout is not None:
            check_number("timeout", timeout, 1)
        self._options = {"group": group, "save": save, "timeout": timeout}
        self._opened: ClusterQueue | None = None
        _check_settings(self.queue)

    def send(self, message: Message) -> None:
        """Put a message into the queue; one with a delay is never taken before its time."""
        self._cluster_queue().put(self._order(message), message.delay)

    async def adispatch(self, task: Task) -> None:
        """Do what `dispatch` does in the thread that has Django's connections."""
        await sync_to_async(self.dispatch)(task)

    def schedule(self, name: str, every: float, message: Message) -> bool:
        """Have a message sent again and again, as a row of `Schedule`; whole minutes only."""
        if len(name) > _LONGEST_NAME:
            name = f"tiercel:{hashlib.blake2b(name.encode(), digest_size=32).hexdigest()}"
        return self._cluster_queue().repeat(name, every, self._order(message))

    def _order(self, message: Message) -> Order:
        return Order.of(message, self.retries, **self._options)

    def _cluster_queue(self) -> ClusterQueue:
        if self._opened is None:
            self._opened = ClusterQueue(self.queue)
        return self._opened


def _check_settings(cluster: str | None) -> None:
    try:
        apps, known = settings.INSTALLED_APPS, _clusters()
    except ImproperlyConfigured as error:
        raise ConfigurationError(
            "dispatcher 'django_q' needs Django's settings: set DJANGO_SETTINGS_MODULE"
        ) from error
    if not any(app.split(".")[0] == "django_q" for app in apps):
        raise ConfigurationError("dispatcher 'django_q' needs 'django_q' in INSTALLED_APPS")
    if cluster is not None and cluster not in known:
        raise ConfigurationError(
            f"Q_CLUSTER names no cluster {cluster!r}; it names: {', '.join(sorted(known))}; "
            "add it to Q_CLUSTER['ALT_CLUSTERS']"
        )


def _clusters() -> set[str]:
    given = getattr(settings, "Q_CLUSTER", {})
    name = given.get("name", "default")
    return {name, given.get("cluster_name", name), *given.get("ALT_CLUSTERS", {})}
