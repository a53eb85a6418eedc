"""Django's settings of every process of the store."""

from __future__ import annotations

import os

DISPATCHER = os.environ["STORE_DISPATCHER"]
BROKER = os.environ["STORE_BROKER"]
QUEUE = os.environ["STORE_QUEUE"]

SECRET_KEY = "tests only, and long enough for every check that Django makes of it"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["STORE_DATABASE"],
        "OPTIONS": {"timeout": 60, "transaction_mode": "IMMEDIATE"},
    }
}
NEEDED = {"django_rq": ["django_rq"], "django_q": ["django_q"]}
INSTALLED_APPS = ["tiercel_django", *NEEDED.get(DISPATCHER, []), "tests.brokers.store"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TIERCEL = {
    "CACHES": {"default": os.environ["STORE_CACHE"]},
    "DEFAULT_DISPATCHER": DISPATCHER,
    "DISPATCHER_SETTINGS": {DISPATCHER: {"queue": QUEUE}},
}
RQ_QUEUES = {QUEUE: {"URL": BROKER}}
Q_CLUSTER = {
    "name": QUEUE,
    "workers": 1,
    "timeout": 10,
    "retry": 15,
    "poll": 0.1,
    "guard_cycle": 0.2,
    **({"orm": "default"} if BROKER == "orm" else {"redis": BROKER}),
}
