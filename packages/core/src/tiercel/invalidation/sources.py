"""What rules listen to where no integration claims the model: classes, and texts."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import NoneType
from typing import Any, Final, get_args

from tiercel.codec.annotations import field_hints
from tiercel.codec.shapes import shape_of
from tiercel.contracts.change import Source
from tiercel.errors import ConfigurationError
from tiercel.keys.names import name_of
from tiercel.keys.scalars import SCALARS
from tiercel.plugins import default_registry

PLAIN: Final = frozenset(SCALARS) - {NoneType}
"""Types of values that never stand for an object."""


def source_of(model: Any) -> Source:
    """Return what a rule on this model listens to.

    Raises:
        ConfigurationError: It is neither a class nor a text, and no integration knows it.
    """
    for integration in default_registry().integrations.values():
        source = integration.source(model)
        if source is not None:
            return source
    if isinstance(model, type):
        return ClassSource(model)
    if isinstance(model, str) and model:
        return TextSource(model)
    raise ConfigurationError(
        f"InvalidationRule: model={model!r} is no model: give a class, or a text that other code "
        "reports changes of"
    )


def value_at(row: Any, names: Iterable[str]) -> Any:
    """Return what an object or mapping has at a path: the keys of mappings, else attributes.

    Args:
        row: Where the path begins.
        names: The steps; a None on the way is the value, whatever comes after it.

    Raises:
        LookupError: There is no such value.
    """
    value = row
    for name in names:
        if value is None:
            return None
        if isinstance(value, Mapping):
            value = value[name]
            continue
        try:
            value = getattr(value, name)
        except AttributeError:
            raise LookupError(f"{type(value).__qualname__} has no {name!r}") from None
    return value


class TextSource(Source):
    """Rows of something that has a name only; they may have any fields."""

    def __init__(self, name: str) -> None:
        self.model = self.label = name

    def covers(self, changed: Any) -> bool:
        """Tell whether this is the name."""
        return isinstance(changed, str) and changed == self.label

    def check(self, path: str) -> None:
        """Accept any path."""

    def value(self, row: Any, path: str) -> Any:
        """Return an attribute, or the value of a key."""
        return value_at(row, path.split("."))

    def snapshot(self, row: Any) -> Mapping[str, Any]:
        """Return what the row holds."""
        return dict(row) if isinstance(row, Mapping) else _parts(row)

    def rebuild(self, snapshot: Mapping[str, Any]) -> Any:
        """Return a mapping with the same values."""
        return dict(snapshot)


class ClassSource(TextSource):
    """Instances of a class and its subclasses, or mappings with the same names."""

    def __init__(self, model: type) -> None:
        super().__init__(name_of(model))
        self.model = model
        self._shape = shape_of(model)

    def covers(self, changed: Any) -> bool:
        """Tell whether this is the class, one below it, or its name."""
        if isinstance(changed, type):
            return self.model in changed.__mro__
        return super().covers(changed)

    def check(self, path: str) -> None:
        """Check the path as far as classes declare their fields."""
        self._declared_at(path)

    def is_plain(self, path: str) -> bool:
        """Tell whether the class declares values such as numbers and texts there."""
        declared = self._declared_at(path)
        return isinstance(declared, type) and declared in PLAIN

    def _declared_at(self, path: str) -> Any:
        """Return what classes declare at a path; None where they do not."""
        owner: Any = self.model
        for name in path.split("."):
            known = _declared(owner)
            if known is None:
                return None
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
                raise ConfigurationError(f"{owner.__qualname__} has no field {name!r}; {hint}")
            owner = known[name]
        return owner

    def snapshot(self, row: Any) -> Mapping[str, Any]:
        """Return what the row holds, in the way in which `rebuild` can undo it."""
        if self._shape is not None and type(row) is self.model:
            return {"parts": list(self._shape.take(row))}
        if isinstance(row, Mapping):
            return {"mapping": dict(row)}
        return {"attributes": _parts(row)}

    def rebuild(self, snapshot: Mapping[str, Any]) -> Any:
        """Make an instance with these values, or a mapping if the row was one."""
        if "parts" in snapshot and self._shape is not None:
            return self._shape.make(list(snapshot["parts"]))
        if "mapping" in snapshot:
            return dict(snapshot["mapping"])
        if hasattr(self.model, "__mapper__"):
            return self.model(**snapshot["attributes"])
        row = object.__new__(self.model)
        for name, value in snapshot["attributes"].items():
            object.__setattr__(row, name, value)
        return row


def _declared(owner: Any) -> dict[str, Any] | None:
    """Return the fields that a class declares, with their types; None if it declares none."""
    if not isinstance(owner, type):
        return None
    names = [name for kind in reversed(owner.__mro__) for name in _annotated(kind)]
    names += [field.name for field in getattr(owner, "__attrs_attrs__", ())]
    if not names and not hasattr(owner, "__mapper__") and not hasattr(owner, "__slots__"):
        return None
    hints = field_hints(owner)
    known = {name: _only_class(hints.get(name)) for name in names}
    for name in dir(owner):
        if not name.startswith("_") and name not in known:
            value = inspect.getattr_static(owner, name)
            if not isinstance(value, (classmethod, staticmethod)) and not inspect.isroutine(value):
                known[name] = None
    return known


def _annotated(kind: type) -> list[str]:
    if kind.__module__ in {"builtins", "typing", "abc"}:
        return []
    return [name for name in vars(kind).get("__annotations__", {}) if name[:1] != "_"]


def _only_class(hint: Any) -> Any:
    """Return `X` for `X | None`."""
    others = [each for each in get_args(hint) if each is not NoneType]
    return others[0] if len(others) == 1 and NoneType in get_args(hint) else hint


def _parts(row: Any) -> dict[str, Any]:
    """Return what an object holds, slots included, without what is private."""
    slots = [name for kind in type(row).__mro__ for name in getattr(kind, "__slots__", ())]
    names = [*getattr(row, "__dict__", ()), *slots]
    return {name: getattr(row, name) for name in names if name[:1] != "_" and hasattr(row, name)}
