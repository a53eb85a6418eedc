"""The broker of workers and other processes that tests start."""

from __future__ import annotations

import os

import dramatiq

import tiercel_dramatiq
from packages.dispatchers.dramatiq.tests.brokers import PATIENCE, open_broker, wait_for_brokers

wait_for_brokers(PATIENCE)
broker = open_broker(os.environ["TEST_BROKER"])
dramatiq.set_broker(broker)
if queue := os.environ.get("TEST_QUEUE"):
    tiercel_dramatiq.install(broker, queue)
