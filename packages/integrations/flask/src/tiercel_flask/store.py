"""A backend for Flask-Caching: `CACHE_TYPE = "tiercel_flask.backend"`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache as remembered
from typing import TYPE_CHECKING, Any

from tiercel import Cache, Space
from tiercel_flask.config import read_config
from tiercel_flask.state import EXTENSION
from tiercel_flask.values import ValueMethods

if TYPE_CHECKING:
    from flask import Flask

SPACE = "flask-caching"


def backend(
    app: Flask, config: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Make a backend for Flask-Caching, which calls this if `CACHE_TYPE` names it.

    Where the application has a `Tiercel`, it keeps its values in that one's default cache, else
    in a cache of the same config: `TIERCEL_URL`, or what Flask-Caching's own keys say, such as
    `CACHE_REDIS_URL`, with a memory tier of `CACHE_THRESHOLD` entries before it.

    Args:
        app: The application.
        config: Its config, with Flask-Caching's defaults.
        args: `CACHE_ARGS`, of which there must be none.
        kwargs: `CACHE_OPTIONS` and what Flask-Caching adds.

    Raises:
        ConfigurationError: The config cannot work, or values would be pickled without being
            signed: a shared tier needs `SECRET_KEY`.
        PluginError: A backend is not installed.
    """
    with app.app_context():  # so that no other application's keys are taken for its own
        state = app.extensions.get(EXTENSION) or read_config(config)
        space = _space(state.caches["default"])
    return _kind()(
        space,
        default_timeout=kwargs.get("default_timeout", 300),
        ignore_delete_many_errors=kwargs.get("ignore_delete_many_errors", True),
    )


def _space(cache: Cache) -> Space:
    """Values are pickled, so what others could have written must be signed."""
    if cache.shared is None:
        return cache.space(SPACE)
    cache.codec("signed", None)  # refuses now if there is no key
    return cache.space(SPACE, "signed")


@remembered
def _kind() -> Any:
    """Return the class; cachelib comes with Flask-Caching, and is not needed without."""
    from cachelib import BaseCache
    from cachelib.serializers import BaseSerializer

    class TiercelStore(ValueMethods, BaseCache):
        """A cache as cachelib defines it, in the tiers of Tiercel.

        Every reader gets an object of its own.

        Attributes:
            serializer: Turns values into bytes and back; integers stay what they are.
        """

        def __init__(self, space: Space, **options: Any) -> None:
            BaseCache.__init__(self, **options)
            self._space = space
            self.serializer = BaseSerializer()

        @property
        def _values(self) -> Space:
            return self._space

        def _default_life(self) -> float | None:
            return float(self.default_timeout) or None

        def _life(self, timeout: Any) -> float | None:
            return float(self._normalize_timeout(timeout)) or None

        def _dumped(self, value: Any) -> Any:
            return value if type(value) is int else self.serializer.dumps(value)

        def _loaded(self, stored: Any) -> Any:
            return self.serializer.loads(stored) if isinstance(stored, bytes) else stored

    return TiercelStore
