"""Which Celery app a dispatcher sends to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import Celery, current_app
from celery._state import _get_active_apps as living_apps  # what its shared tasks go by
from kombu.utils import symbol_by_name

from tiercel.spi import ConfigurationError
from tiercel_celery.queues import queue

_installed: list[Celery] = []

HOW = 'give the option app="proj.celery:app", or call tiercel_celery.install(app)'


def install(app: Celery, *queues: str) -> None:
    """Make `app` the one that dispatchers without the option `app` send to, in every thread.

    Args:
        app: The app.
        *queues: Names of queues to declare, as `tiercel_celery.queue` does. Workers serve them
            where `-Q` says so; what other workers serve stays as it is.
    """
    _installed[:] = [app]
    if app.finalized:
        _declare(app, queues)
    else:
        finalized: Any = app.on_after_finalize
        finalized.connect(lambda **_: _declare(app, queues), weak=False)


def _declare(app: Celery, queues: Iterable[str]) -> None:
    for name in queues:
        app.amqp.queues.add(queue(name))


def check_app(app: object) -> None:
    """Check the option `app`, without importing what it names.

    Raises:
        ConfigurationError: It is neither a Celery app nor the dotted path of one.
    """
    dotted = isinstance(app, str) and all(app.replace(":", ".").split("."))
    if not (app is None or dotted or isinstance(app, Celery)):
        raise ConfigurationError(
            f'app must be a Celery app or its path such as "proj.celery:app", not {app!r}'
        )


def find_app(app: Celery | str | None) -> Celery:
    """Return the app that the option `app` means; None means the only one there is.

    Raises:
        ConfigurationError: There is no such app, or it is not clear which one is meant.
    """
    if isinstance(app, str):
        return _named(app)
    return app or next(iter(_installed), None) or _current() or _only()


def _named(path: str) -> Celery:
    try:
        found: Any = symbol_by_name(path)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"there is no Celery app {path!r}: {error}") from error
    if not isinstance(found, Celery):
        raise ConfigurationError(f"{path!r} is no Celery app but {found!r}")
    return found


def _current() -> Celery | None:
    # Celery keeps the current app for each thread; a thread that has none gets a fallback that
    # sends to localhost.
    app: Celery = current_app._get_current_object()
    return None if _is_fallback(app) else app


def _only() -> Celery:
    apps = [app for app in living_apps() if not _is_fallback(app)]
    if len(apps) != 1:
        names = ", ".join(sorted(str(app.main) for app in apps)) or "none"
        raise ConfigurationError(f"it is not clear which Celery app is meant ({names}): {HOW}")
    return apps[0]


def _is_fallback(app: Celery) -> bool:
    return bool(app.main == "default" and not app.set_as_current)
