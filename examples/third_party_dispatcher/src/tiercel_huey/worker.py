"""What a consumer is started with: `huey_consumer tiercel_huey.worker.huey`."""

from __future__ import annotations

import importlib
import os

from tiercel_huey.queues import DEFAULT_URL, open_queue, task_of

huey = open_queue(
    os.environ.get("TIERCEL_HUEY_QUEUE"), os.environ.get("TIERCEL_HUEY_URL", DEFAULT_URL)
)
task_of(huey)

for module in os.environ.get("TIERCEL_HUEY_MODULES", "").split():
    importlib.import_module(module)
