"""Rows that a migration writes: through models as they were then, of which no rule knows.

The tables may not fit the models of today yet, so nothing is read of them: any row may have
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final

from django.apps import apps
from django.db import models
from django.db.models.deletion import Collector

from tiercel.spi import ChangeKind
from tiercel_django.changes.observe import all_of, report
from tiercel_django.changes.watched import watched
from tiercel_django.rows.paths import Model

_MODULE: Final = "__fake__"  # as Django calls the module of a model that it makes of a migration

Target = tuple[Iterable[Model], Callable[[], str]]


def _of_instance(instance: Any) -> Target:
    return [type(instance)], lambda: str(instance._state.db)


def _of_query(query: Any) -> Target:
    return [query.model], lambda: str(query.db)


def _of_collector(collector: Any) -> Target:
    updated = [field.model for field, _ in collector.field_updates]
    return dict.fromkeys([*collector.data, *updated]), lambda: str(collector.using)


_TARGETS: Final[dict[Any, Callable[[Any], Target]]] = {
    models.Model: _of_instance,
    models.QuerySet: _of_query,
    Collector: _of_collector,
}


def with_history(owner: type, observed: Any, original: Any) -> Any:
    """Return a method that writes, with regard to models of migrations, too.

    Args:
        owner: Whose method it is.
        observed: What sees writes of all other models.
        original: Django's own.
    """
    target_of = _TARGETS[owner]

    @wraps(observed)
    def write(self: Any, *args: Any, **kwargs: Any) -> Any:
        written, alias = target_of(self)
        historical = [each for each in written if each.__module__ == _MODULE]
        if not historical:
            return observed(self, *args, **kwargs)
        result = original(self, *args, **kwargs)
        for each in historical:
            _report(each, alias())
        return result

    return write


def _report(model: Model, alias: str) -> None:
    try:
        today: Model = apps.get_model(model._meta.app_label, str(model._meta.model_name))
    except LookupError:
        return
    watch = watched(today)
    if watch is not None:
        report(alias, all_of(watch, ChangeKind.UPDATED))
