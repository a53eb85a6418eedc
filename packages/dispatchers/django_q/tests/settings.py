"""Django's settings, for these tests and for the programs that they start."""

from __future__ import annotations

import os

SECRET_KEY = "tests only, and long enough for every check that Django makes of it"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["SHOP_DATABASE"],
        "TEST": {"NAME": os.environ["SHOP_DATABASE"]},
        "OPTIONS": {
            # Nothing here outlives the machine, which other tests keep busy with their files.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
            "timeout": float(os.environ.get("SHOP_PATIENCE", "60")),
            "transaction_mode": "IMMEDIATE",
        },
    }
}
INSTALLED_APPS = ["django_q", "tests.brokers.warehouse"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CLUSTERS = ["drops", *(f"kit{number}" for number in range(8))]
BROKER = os.environ.get("SHOP_BROKER", "orm")
TASK_TIMEOUT = int(os.environ.get("SHOP_TASK_TIMEOUT", "60"))
Q_CLUSTER = {
    "name": "shop",
    "workers": 1,
    "timeout": TASK_TIMEOUT,
    "retry": TASK_TIMEOUT + 1,  # then a task that is not done is given to somebody else
    "poll": 0.1,
    "guard_cycle": 0.2,
    "ALT_CLUSTERS": {name: {} for name in CLUSTERS},
    **({"orm": "default"} if BROKER == "orm" else {"redis": BROKER}),
}
