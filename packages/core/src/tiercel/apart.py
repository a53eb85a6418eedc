"""Several applications in one process: a function has a twin on the caches of each of them.

With one application, or none, a function binds once, and nothing here is in its way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, cast

from tiercel.settings import Home, Settings

_apart = False


def set_apart(apart: bool) -> None:
    """Say whether applications have caches of their own, so that each call asks for its one."""
    global _apart
    _apart = apart


class Twinned:
    """The part of a cached function that knows its twins.

    Attributes:
        follows_configuration: Whether its cache is not given, but looked up.
    """

    func: Callable[..., Any]
    settings: Settings
    follows_configuration: bool
    _home: Callable[[], Home]
    _subject: Any

    if TYPE_CHECKING:

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    @property
    def is_apart(self) -> bool:
        """Whether another one, its twin on the cache of the running application, must be asked."""
        return _apart and self.follows_configuration

    def here(self) -> Self:
        """Return what serves the running application: this function, or its twin."""
        if not self.is_apart:
            return self
        home, twins = self._home(), vars(self).setdefault("_twins", {})
        if home not in twins:
            twins.setdefault(home, self._remade(home))
        return cast("Self", twins[home])

    def named_for(self, cache: str) -> Self:
        """Return what has this name on the cache that a task names: this one, or a twin of it."""
        return self

    def all_in_use(self) -> list[Self]:
        """Return this function and its twins, those of them that were called."""
        return [each for each in (self, *vars(self).get("_twins", {}).values()) if each._subject]

    def forget_twins(self) -> None:
        """Let go of them, as after a new configuration."""
        vars(self).pop("_twins", None)

    def _remade(self, home: Home, **more: Any) -> Self:
        return type(self)(self.func, self.settings, lambda: home, **more)
