"""What rules on a model listen to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps
from django.db import models

from tiercel.spi import ConfigurationError, Source, value_at
from tiercel_django.changes.patches import install
from tiercel_django.changes.watched import concrete, forget, listen
from tiercel_django.rows.paths import Model, Path, resolve
from tiercel_django.rows.row import Row
from tiercel_django.snapshots import rebuild, snapshot


class ModelSource(Source):
    """The rows of a model, those of its proxies and those of models that inherit from it.

    Lives as long as the rule that listens to it; a model without one costs nothing.
    """

    def __init__(self, model: Model) -> None:
        """Refuse what has no rows.

        Raises:
            ConfigurationError: The model is abstract, or swapped for another.
        """
        self.model = model
        self.label = model._meta.label
        if model._meta.abstract:
            raise ConfigurationError(
                f"{self.label} is abstract and has no rows: name the models that inherit from it"
            )
        if model._meta.swapped:
            raise ConfigurationError(
                f"{self.label} is swapped for {model._meta.swapped}: name that one"
            )
        self._texts: dict[str, None] = {}
        self._single: list[str] = []
        self._paths: dict[str, Path] = {}
        listen(self)

    @property
    def paths(self) -> list[Path]:
        """The paths that rules ask for; without those that do not exist."""
        return [path for path in map(self._path, list(self._texts)) if path is not None]

    def problems(self) -> list[str]:
        """Say what is wrong with paths that could not be checked when the rule was made."""
        found = []
        for text in list(self._texts):
            try:
                if resolve(self.model, text).many and text in self._single:
                    raise ConfigurationError(_MANY)
            except ConfigurationError as error:
                found.append(f"path {text!r}: {error}")
        return found

    def covers(self, changed: Any) -> bool:
        """Tell whether a model keeps rows of this one, or this is its label."""
        if isinstance(changed, type) and issubclass(changed, models.Model):
            return issubclass(concrete(changed), concrete(self.model))
        return isinstance(changed, str) and changed == self.label

    def check(self, path: str) -> None:
        """Check a path; relations between models are known only when all of them are loaded."""
        if apps.models_ready:
            resolve(self.model, path)

    def check_single(self, path: str) -> None:
        """Refuse a relation to many rows."""
        self._single.append(path)
        if apps.models_ready and resolve(self.model, path).many:
            raise ConfigurationError(_MANY)

    def is_plain(self, path: str) -> bool:
        """Tell whether a column holds the values, one of numbers, texts and the like."""
        known = self._path(path)
        return known is not None and known.plain

    def watch(self, paths: Iterable[str]) -> None:
        """Take note of what has to be read before a row changes."""
        self._texts |= dict.fromkeys(paths)
        forget()

    def value(self, row: Any, path: str) -> Any:
        """Return a value as a reader of the database gets it.

        Raises:
            LookupError: The row has no such value.
        """
        if not isinstance(row, Row):  # reported by hand
            return value_at(row, path.split("."))
        known = self._path(path)
        if known is None:
            raise LookupError(f"{self.label} has no {path!r}")
        return row.value(known, self.model)

    def snapshot(self, row: Any) -> Mapping[str, Any]:
        """Return all columns of a row."""
        if isinstance(row, Mapping):
            row = self.model(**row)
        return snapshot(row.instance(self.model) if isinstance(row, Row) else row)

    def rebuild(self, snapshot: Mapping[str, Any]) -> Any:
        """Return an instance with these columns; nothing is read from the database."""
        return rebuild(snapshot)

    def _path(self, text: str) -> Path | None:
        known = self._paths.get(text)
        if known is None and apps.models_ready:
            try:
                known = self._paths[text] = resolve(self.model, text)
            except ConfigurationError:
                return None  # one of `problems`
        return known


_MANY = "it leads to many rows, so it has no single value; only watch_fields may name it"


def source_of(model: object) -> Source | None:
    """Return what a rule listens to that names a model, or its label `app.Model`; else None.

    Raises:
        ConfigurationError: The model has no rows, or an application has no such model.
    """
    found = _by_label(model) if isinstance(model, str) else model
    if not isinstance(found, type) or not issubclass(found, models.Model):
        return None
    install()
    return ModelSource(found)


def _by_label(label: str) -> object:
    """Find a model; a text that names no application is the name of something else."""
    app, _, name = label.partition(".")
    if not name.isidentifier() or app not in apps.app_configs:
        return None
    known = apps.all_models[app]
    if name.lower() in known:
        return known[name.lower()]
    if not apps.models_ready:
        raise ConfigurationError(
            f"the model {label!r} is not loaded yet: name its class, or put the function into "
            f"{apps.app_configs[app].name}.caches, which is imported when all models are there"
        )
    names = [each.__name__ for each in known.values()]
    raise ConfigurationError(
        f"application {app!r} has no model {name!r}; it has {', '.join(names)}"
    )
