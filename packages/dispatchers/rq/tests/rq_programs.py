"""The processes of these tests: workers of both kinds, and programs of the application."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.brokers import programs
from tests.brokers.programs import WAREHOUSE, Warehouse
from tiercel.testing.servers import RedisServer

SETTINGS = "packages.dispatchers.rq.tests.settings"
WORKER = "packages.dispatchers.rq.tests.rq_workers.QuickWorker"
INTERVALS = ("--maintenance-interval", "1", "--job-monitoring-interval", "1", "--worker-ttl", "16")

MAIN = "from rq.cli import main; main()"
COMMANDS = {
    "rq": ("-c", MAIN, "worker", "-c", f"{WAREHOUSE}.caches", "-P", "."),
    "django_rq": ("-m", "django", "rqworker"),
}
"""How Python is told to run a worker, without what it is to serve."""


class Running(programs.Running):
    """A worker whose jobs run in processes of their own."""

    def kill_job(self) -> None:
        """End only the process of its job, which has a process group of its own."""
        for process in psutil.Process(self._process.pid).children():
            if os.getpgid(process.pid) == process.pid:
                process.kill()


class Shop(Warehouse):
    """The application, and workers.

    Args:
        directory: What is true is kept there.
        dispatcher: `rq` or `django_rq`.
        cache: Server of the shared tier.
        broker: Server of the queues.
        options: Of the dispatcher.
    """

    def __init__(
        self,
        directory: Path,
        dispatcher: str,
        cache: RedisServer,
        broker: RedisServer,
        **options: Any,
    ) -> None:
        self.dispatcher = dispatcher
        self.broker = broker
        variables = {"SHOP_BROKER": broker.patient_url}
        if dispatcher == "rq":
            options["connection"] = broker.patient_url
        else:
            variables["DJANGO_SETTINGS_MODULE"] = SETTINGS
        super().__init__(directory, dispatcher, options, cache, **variables)

    def worker(self, *arguments: str, stock: bool = False) -> Running:
        """Start a worker; unless it is RQ's own, it looks for killed ones each second."""
        command = [sys.executable, *COMMANDS[self.dispatcher]]
        if self.dispatcher == "rq":
            command += ["--url", self.broker.patient_url, *INTERVALS]
        if not stock:
            command += ["--worker-class", WORKER]
        return Running([*command, *arguments], self.variables, self.directory / "worker.log")
