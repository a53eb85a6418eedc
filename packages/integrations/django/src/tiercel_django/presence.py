"""Whether Django runs in this process. Nothing here imports it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiercel_django.conf import Conf

_read: Callable[[], Conf] | None = None


def has_settings() -> bool:
    """Tell whether settings are configured."""
    conf = sys.modules.get("django.conf")
    return conf is not None and bool(conf.settings.configured)


def conf() -> Conf | None:
    """Return what the setting `TIERCEL` holds; None if this application is not installed."""
    return None if _read is None else _read()


def set_installed(read: Callable[[], Conf]) -> None:
    """Note that Django has set this application up.

    Args:
        read: Returns what the setting holds.
    """
    global _read
    _read = read
