"""Django's settings, for these tests and for the programs that they start."""

from __future__ import annotations

import os

SECRET_KEY = "tests only, and long enough for every check that Django makes of it"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["django_rq", "tests.brokers.warehouse"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER = os.environ.get("SHOP_BROKER", "redis://127.0.0.1:1/0")
QUEUES = ["default", "drops", *(f"kit{number}" for number in range(8))]
RQ_QUEUES = {name: {"URL": BROKER} for name in QUEUES}
