"""The application's own worker: it looks for killed ones more often than most need."""

from __future__ import annotations

from tiercel_rq.worker import PromptWorker


class QuickWorker(PromptWorker):
    monitoring = 1
    maintenance = 1
