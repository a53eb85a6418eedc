"""Settings of Django for the tests of this package: SQLite and a real PostgreSQL."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

_postgres = urlsplit(os.environ.get("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/test"))
_own = f"tiercel_{os.getpid()}"  # every process that runs tests has databases of its own

SECRET_KEY = "tests only, and long enough for every check that Django makes of it"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
    },
    "postgres": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _postgres.path.lstrip("/"),
        "USER": _postgres.username or "postgres",
        "PASSWORD": _postgres.password or "",
        "HOST": _postgres.hostname or "127.0.0.1",
        "PORT": _postgres.port or 5432,
        "TEST": {"NAME": _own, "DEPENDENCIES": []},
    },
    "file": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "TEST": {
            "NAME": str(Path(tempfile.gettempdir(), f"{_own}.sqlite3")),
            "DEPENDENCIES": [],
        },
        # Nothing here outlives the machine, so no commit needs to wait for its disk.
        "OPTIONS": {"init_command": "PRAGMA synchronous=OFF"},
    },
}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "rest_framework",
    "tiercel_django",
    "packages.integrations.django.tests.shop",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
ROOT_URLCONF = "packages.integrations.django.tests.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
