"""Tables between two models: what their rows say of the models at both ends."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from django.apps import apps

from tiercel_django.rows.paths import Model


class Link(NamedTuple):
    """One end of a relation of many rows to many, seen from the table between them.

    Attributes:
        column: The foreign key, in the table between, that leads to this end.
        model: The model at this end, never a proxy.
        target: What the foreign key refers to, usually the primary key.
        names: What rules on the model may call the relation.
    """

    column: str
    model: Model
    target: str
    names: frozenset[str]


def links_of(through: Model, named: Collection[Model]) -> Iterator[Link]:
    """Find the relations that rows of a model make, as far as rules name an end of them.

    Args:
        through: The table between.
        named: The models that rules are about.
    """
    for model in apps.get_models():
        for field in model._meta.local_many_to_many:
            if field.remote_field.through is through:
                yield from _ends(field, through, named)


def _ends(field: Any, through: Model, named: Collection[Model]) -> Iterator[Link]:
    forward = frozenset({field.name})
    reverse = frozenset({field.remote_field.get_accessor_name(), field.related_query_name()})
    ends = [
        (field.m2m_field_name(), forward),
        (field.m2m_reverse_field_name(), reverse - {None}),
    ]
    for name, names in ends:
        key: Any = through._meta.get_field(name)
        model = key.related_model._meta.concrete_model
        heirs = [each for each in named if issubclass(each, model)]
        if heirs or any(issubclass(model, each) for each in named):
            yield Link(key.attname, model, key.target_field.attname, names)
