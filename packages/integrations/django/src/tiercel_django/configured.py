"""The caches that the setting `TIERCEL` describes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

import tiercel
from tiercel.spi import ConfigurationError, TiercelError, set_key_defaults
from tiercel_django.conf import SETTING, Problem, current, problems

logger = logging.getLogger("tiercel.django")

_made: dict[str, tiercel.Cache] = {}
_failed: dict[str, TiercelError] = {}  # by the name of a cache, or of a key of the setting


def configure_caches() -> None:
    """Make the caches of the setting, instead of those made before.

    One that cannot be made is left out: the system checks say why, and whoever asks for it gets
    the same error.
    """
    former = dict(_made)
    _made.clear()
    _failed.clear()
    _set_key_defaults()
    for name, given in current().caches.items():
        try:
            _made[name] = _make(name, given)
        except TiercelError as error:
            _failed[name] = error
    tiercel.configure(**_made)
    for cache in former.values():
        cache.close()
    for problem in [*problems(), *cache_problems()]:
        logger.error("%s. %s", problem.text, problem.hint)


def _set_key_defaults() -> None:
    conf = current()
    try:
        set_key_defaults(
            hash_algorithm=conf.key_hash_algorithm,
            max_key_suffix_length=conf.max_key_suffix_length,
            hash_suffix_on_overflow=conf.hash_suffix_on_overflow,
        )
    except ConfigurationError as error:
        _failed[_KEYS] = error


_KEYS = "KEY_HASH_ALGORITHM"


def made_caches() -> Mapping[str, tiercel.Cache]:
    """Return the caches that the setting describes, by name."""
    return dict(_made)


def cache_problems() -> list[Problem]:
    """Say which caches could not be made, and why."""
    found = []
    for name, error in _failed.items():
        if name == _KEYS:
            found.append(Problem(2, f"{SETTING}[{name!r}]: {error}", "It is not used."))
        else:
            where = f"{SETTING}['CACHES'][{name!r}]"
            found.append(Problem(3, f"{where}: {error}", "This cache cannot be used."))
    return found


def default_url() -> str | None:
    """Return where the default cache is that the setting does not describe.

    That is Django's own default cache, unless it belongs to this process alone anyway.

    Raises:
        ConfigurationError: The setting describes one that cannot be made.
    """
    if "default" in _failed:
        raise ConfigurationError(f"{SETTING}['CACHES']['default']: {_failed['default']}")
    backend = settings.CACHES.get("default", {}).get("BACKEND", "")
    if backend in _OF_ONE_PROCESS or _is_tiercel(backend):
        return None
    return "django://default"


_OF_ONE_PROCESS = (
    "",
    "django.core.cache.backends.dummy.DummyCache",
    "django.core.cache.backends.locmem.LocMemCache",
)


def _is_tiercel(backend: str) -> bool:
    from tiercel_django.cache import TiercelCache

    try:
        kind = import_string(backend)
    except ImportError:
        return False
    return isinstance(kind, type) and issubclass(kind, TiercelCache)


def _make(name: str, given: Any) -> tiercel.Cache:
    if isinstance(given, tiercel.Cache):
        return given
    if isinstance(given, str):
        return tiercel.Cache(given, name=name)
    if isinstance(given, Mapping):
        return tiercel.Cache(**{"name": name, **given})
    raise ConfigurationError(f"give a URL or a dict of options, not {given!r}")
