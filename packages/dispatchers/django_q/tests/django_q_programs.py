"""The processes of these tests: clusters, and programs of the application."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

from tests.brokers.programs import Running, Warehouse
from tiercel.testing.servers import RedisServer

SETTINGS = "packages.dispatchers.django_q.tests.settings"
CLUSTER = (sys.executable, "-m", "django", "qcluster")


class Shop(Warehouse):
    """The application, its database, and clusters.

    Args:
        directory: What is true is kept there; it has the database already.
        cache: Server of the shared tier.
        broker: `orm`, or the URL of a Redis.
        options: Of the dispatcher.
    """

    def __init__(
        self, directory: Path, cache: RedisServer, broker: str = "orm", **options: Any
    ) -> None:
        self.database = directory / "db.sqlite3"
        variables = {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "SHOP_BROKER": broker,
            "SHOP_DATABASE": str(self.database),
        }
        super().__init__(directory, "django_q", options, cache, **variables)

    def failures(self) -> list[tuple[str, str]]:
        """Return name and group of the tasks that django-q2 keeps as failed."""
        with sqlite3.connect(self.database) as rows:
            query = 'SELECT name, "group" FROM django_q_task WHERE NOT success'
            found = rows.execute(query).fetchall()
        rows.close()
        return found

    def cluster(self, name: str = "shop", **variables: str) -> Running:
        """Start a cluster."""
        variables = self.variables | {"Q_CLUSTER_NAME": name} | variables
        return Running([*CLUSTER], variables, self.directory / "cluster.log")
