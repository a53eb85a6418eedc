"""The application that may go into `INSTALLED_APPS`: it only checks the settings."""

from __future__ import annotations

from django.apps import AppConfig


class CachebackConfig(AppConfig):
    """Has `manage.py check` look at the settings that begin with `CACHEBACK_`."""

    name = "tiercel_django.cacheback"
    label = "cacheback"
    verbose_name = "Jobs"

    def ready(self) -> None:
        """Register the check."""
        from django.core.checks import register

        from tiercel_django.cacheback.conf import check_settings

        register(check_settings, "tiercel")
