"""Django's settings, without which django-q does not work."""

from __future__ import annotations

import os

SECRET_KEY = "tests only, and long enough for every check that Django makes of it"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["django_q", "packages.integrations.opentelemetry.tests.traced.apps.ShopConfig"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
Q_CLUSTER = {
    "name": "prices",
    "workers": 1,
    "timeout": 10,
    "retry": 15,
    "poll": 0.1,
    "guard_cycle": 0.2,
    "save_limit": -1,
    "scheduler": False,
    "redis": os.environ["SHOP_BROKER"],
}
