"""Settings of the bookshop; `SHOP_CACHE` and `SHOP_DATABASE` may say where its data is."""

from __future__ import annotations

import os
from pathlib import Path

SECRET_KEY = "an example has no secrets; a project must have one of its own"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "bookshop.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "tiercel_django",
    "bookshop",
]
MIDDLEWARE = [
    "tiercel_django.middleware.RequestScopeMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SHOP_DATABASE", Path(__file__).parents[1] / "shop.sqlite3"),
    }
}
TIERCEL = {"CACHES": {"default": os.environ.get("SHOP_CACHE", "memory://?memory=10000")}}
