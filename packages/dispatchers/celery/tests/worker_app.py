"""The Celery app of the processes that tests start."""

from __future__ import annotations

import os

import tiercel_celery
from packages.dispatchers.celery.tests.brokers import PATIENCE, WORKER, celery_app, wait_for_brokers

app = celery_app(os.environ["TEST_BROKER"], **WORKER)
app.conf.update(
    broker_write_url=os.environ.get("TEST_WRITE_BROKER", os.environ["TEST_BROKER"]),
    include=os.environ.get("TEST_INCLUDE", "").split(),
)
wait_for_brokers(PATIENCE)
tiercel_celery.install(app, os.environ["TEST_QUEUE"])
