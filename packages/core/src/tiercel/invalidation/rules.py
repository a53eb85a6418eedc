"""Rules: which change of which rows drops or refreshes what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from tiercel.errors import ConfigurationError

Invalidator = Callable[..., Any]
"""Called `(wrapper, instance, **extras)`; may be a coroutine function."""


class Everything(Enum):
    """The type of `InvalidationRule.ALL`."""

    ALL = "all"


class SignalType(StrEnum):
    """What an invalidator is told of a change: the row was saved, or deleted."""

    POST_SAVE = "post_save"
    POST_DELETE = "post_delete"


@dataclass(frozen=True, slots=True, eq=False)
class InvalidationRule:
    """What a change of rows means for the entries of a function.

    A rule never changes and holds nothing of a function, so several functions may have the same.

    Attributes:
        model: A model of an integration, another class, or a text that names a source of changes
            which other code reports with `changed`.
        field_mapping: For arguments of the function the dotted path of their value on the row.
            Together they say a partition, which is dropped, or a whole call, whose entry is.
            `InvalidationRule.ALL`: everything of the function is dropped.
        watch_fields: An update counts only if the value at one of these paths has changed.
        invalidate_when: The change counts only if the row, before or after it, has these values
            at these paths. `!` in front of a path: any other value.
        trigger_on_create: Whether new rows count, too.
        require_args: Which of the mapped arguments must not be None: all (True), none (False),
            or these. Where one is, nothing is dropped for that row.
        rewarm: Compute again what was live of the partition, right after it was dropped.
        invalidator: Instead of `field_mapping`: a function, or the dotted name of one, called
            `(wrapper, instance, **extras)`. Of the extras `signal_type`, `instance_created` and
            `update_fields` it gets those that its signature takes.
        dispatcher: Name of the dispatcher that carries the work; None: what the framework is
            configured to, or `inline`.
        dispatcher_config: Its options.
        batch: Send what one change, or transaction, makes of all such rules as one task.
        raise_exception: Whether work that fails raises: inline out of whatever reported the
            change, after everything else was done; in a worker to the broker. None: as the
            framework is configured; else only in a worker, so that the broker repeats it.
        name: Names the rule, together with the function, in every process; None: its position.
    """

    ALL: ClassVar = Everything.ALL

    model: Any
    _: KW_ONLY
    field_mapping: Mapping[str, str] | Everything | None = None
    watch_fields: Iterable[str] | None = None
    invalidate_when: Mapping[str, Any] | None = None
    trigger_on_create: bool = False
    require_args: bool | Iterable[str] = True
    rewarm: bool = False
    invalidator: Invalidator | str | None = None
    dispatcher: str | None = None
    dispatcher_config: Mapping[str, Any] | None = None
    batch: bool = False
    raise_exception: bool | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a function.

        Raises:
            ConfigurationError: An option has a wrong type, or two exclude each other.
        """
        for name in ("trigger_on_create", "rewarm", "batch"):
            self._require(name, isinstance(getattr(self, name), bool), "True or False")
        plain = self.raise_exception is None or isinstance(self.raise_exception, bool)
        self._require("raise_exception", plain, "True, False or None")
        for name in ("name", "dispatcher"):
            given = getattr(self, name)
            text = given is None or (isinstance(given, str) and given)
            self._require(name, bool(text), "a text")
        self._freeze_mappings()
        self._freeze_names()
        self._check_invalidator()

    def _require(self, option: str, fits: bool, what: str) -> None:
        if not fits:
            raise ConfigurationError(
                f"InvalidationRule on {label_of(self.model)}: {option}="
                f"{getattr(self, option)!r} must be {what}"
            )

    def _freeze_mappings(self) -> None:
        mapping: Any = self.field_mapping
        if not isinstance(mapping, Everything):
            if mapping is not None:
                fits = isinstance(mapping, Mapping) and _all_text(mapping.keys(), mapping.values())
                what = "a mapping of arguments to dotted paths, or InvalidationRule.ALL"
                self._require("field_mapping", fits, what)
            object.__setattr__(self, "field_mapping", MappingProxyType(dict(mapping or {})))
        for option, what in _MAPPINGS.items():
            given = getattr(self, option)
            fits = given is None or (isinstance(given, Mapping) and _all_text(given.keys()))
            self._require(option, fits, what)
            object.__setattr__(self, option, MappingProxyType(dict(given or {})))

    def _freeze_names(self) -> None:
        watched = self.watch_fields
        if watched is not None:
            self._require("watch_fields", _is_names(watched), "a sequence of dotted paths")
            object.__setattr__(self, "watch_fields", tuple(watched))
        required = self.require_args
        if not isinstance(required, bool):
            self._require("require_args", _is_names(required), "True, False or argument names")
            object.__setattr__(self, "require_args", frozenset(required))

    def _check_invalidator(self) -> None:
        given = self.invalidator
        if given is None:
            return
        fits = _is_dotted(given) if isinstance(given, str) else callable(given)
        self._require("invalidator", fits, "a function or its dotted name")
        for option in ("field_mapping", "rewarm"):
            if getattr(self, option):
                raise ConfigurationError(
                    f"InvalidationRule on {label_of(self.model)}: give invalidator or {option}, "
                    "not both: an invalidator does by itself whatever is to be done"
                )


_MAPPINGS = {
    "invalidate_when": "a mapping of dotted paths to values",
    "dispatcher_config": "a mapping of options to values",
}


def label_of(model: Any) -> str:
    """Name a model in messages."""
    return model.__qualname__ if isinstance(model, type) else repr(model)


def _is_dotted(given: str) -> bool:
    return "." in given and all(map(str.isidentifier, given.split(".")))


def _all_text(*several: Iterable[Any]) -> bool:
    return all(isinstance(each, str) and each for names in several for each in names)


def _is_names(given: Any) -> bool:
    return not isinstance(given, str) and isinstance(given, Iterable) and _all_text(tuple(given))
