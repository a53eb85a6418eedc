"""The application that goes into `INSTALLED_APPS`."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.signals import setting_changed
from django.utils.module_loading import autodiscover_modules


class TiercelConfig(AppConfig):
    """Configures the caches of `settings.TIERCEL` when Django starts."""

    name = "tiercel_django"
    label = "tiercel"
    verbose_name = "Tiercel"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Make the caches, then import `caches.py` of each application.

        An error in one of those modules is shown, not swallowed.
        """
        from tiercel_django import checks, conf
        from tiercel_django.configured import configure_caches
        from tiercel_django.presence import set_installed
        from tiercel_django.uncommitted import watch_connections

        set_installed(conf.current)
        checks.register_checks()
        watch_connections()
        configure_caches()
        setting_changed.connect(_configure_anew, dispatch_uid="tiercel")
        chosen = conf.current().autodiscover
        modules = ("caches",) if chosen is True else chosen or ()
        autodiscover_modules(*modules)


def _configure_anew(*, setting: str, **_: Any) -> None:
    """Follow the settings, as tests override them."""
    from tiercel_django import conf
    from tiercel_django.configured import configure_caches

    if setting in (conf.SETTING, "CACHES", "SECRET_KEY", "SECRET_KEY_FALLBACKS"):
        conf.forget()
        configure_caches()
