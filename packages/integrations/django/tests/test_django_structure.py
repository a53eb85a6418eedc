"""Which changes of a model or serializer its fingerprint shows, and which it does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import rest_framework.serializers
from django.db import models
from django.test.utils import isolate_apps
from django.utils.translation import gettext_lazy, override

from packages.integrations.django.tests.shop.models import Owner, Product
from tiercel_django.structure import fingerprint, model_structure, serializer_structure

serializers: Any = rest_framework.serializers

# Models


def make_model(**fields: Any) -> Any:
    """A model `Thing` with these fields, unknown to everybody else."""
    with isolate_apps("packages.integrations.django.tests.shop"):
        meta = type("Meta", (), {"app_label": "shop"})
        name = {"__module__": __name__, "Meta": meta}
        return type("Thing", (models.Model,), {**name, **fields})


CHANGES: dict[str, dict[str, Any]] = {
    "field added": {"more": models.IntegerField()},
    "field renamed": {"name": None, "title": models.CharField(max_length=5)},
    "type": {"name": models.TextField(max_length=5)},
    "null": {"name": models.CharField(max_length=5, null=True)},
    "max_length": {"name": models.CharField(max_length=6)},
    "default": {"name": models.CharField(max_length=5, default="a")},
    "other default": {"name": models.CharField(max_length=5, default="b")},
    "default of another type": {"name": models.CharField(max_length=5, default=5)},
    "computed default": {"name": models.CharField(max_length=5, default=list)},
    "choices": {"name": models.CharField(max_length=5, choices=[("a", "A")])},
    "more choices": {"name": models.CharField(max_length=5, choices=[("a", "A"), ("b", "B")])},
    "other label": {"name": models.CharField(max_length=5, choices=[("a", "Z")])},
    "computed choices": {"name": models.CharField(max_length=5, choices=partial(dict, a="A"))},
    "column": {"name": models.CharField(max_length=5, db_column="other")},
    "digits": {"price": models.DecimalField(max_digits=5, decimal_places=2)},
    "more digits": {"price": models.DecimalField(max_digits=6, decimal_places=2)},
    "reference": {"owner": models.ForeignKey(Owner, models.CASCADE)},
    "other reference": {"owner": models.ForeignKey(Product, models.CASCADE)},
    "many": {"owner": models.ManyToManyField(Owner)},
}

SAME: dict[str, dict[str, Any]] = {
    "nothing": {},
    "label": {"name": models.CharField("Other name", max_length=5)},
    "translated label": {"name": models.CharField(gettext_lazy("Name"), max_length=5)},
    "help": {"name": models.CharField(max_length=5, help_text="Say it")},
    "index": {"name": models.CharField(max_length=5, db_index=True)},
    "blank": {"name": models.CharField(max_length=5, blank=True)},
    "method": {"shout": lambda self: self.name.upper()},
}


def described(changes: dict[str, Any]) -> str:
    fields: dict[str, Any] = {"name": models.CharField(max_length=5), **changes}
    known = {name: field for name, field in fields.items() if field is not None}
    return fingerprint(model_structure(make_model(**known)))


def test_model_when_its_structure_changes_has_another_fingerprint() -> None:
    """Fields, types, options and choices; each change by itself."""
    prints = {name: described(changes) for name, changes in CHANGES.items()}
    assert len({*prints.values(), described({})}) == len(CHANGES) + 1
    assert prints == {name: described(changes) for name, changes in CHANGES.items()}


@pytest.mark.parametrize("change", SAME)
def test_model_when_only_words_change_keeps_its_fingerprint(change: str) -> None:
    """What people read, and what is not stored."""
    assert described(SAME[change]) == described({})


def test_model_in_another_language_keeps_its_fingerprint() -> None:
    """Labels of choices count by what the code says."""
    choices: dict[str, Any] = {
        "name": models.CharField(max_length=5, choices=[("a", gettext_lazy("Yes"))])
    }
    with override("de"):
        german = described(choices)
    assert german == described(choices)
    yes: dict[str, Any] = {"name": models.CharField(max_length=5, choices=[("a", "Yes")])}
    assert german == described(yes)


# Serializers


def make_serializer(name: str = "Thing", kind: Any = serializers.Serializer, **fields: Any) -> Any:
    """A serializer class with these fields."""
    return type(name, (kind,), {"__module__": __name__, **fields})


meta = type("Meta", (), {"model": Owner, "fields": ("id", "name")})
OwnerSerializer = make_serializer("OwnerSerializer", serializers.ModelSerializer, Meta=meta)
Inner = make_serializer("Inner", a=serializers.CharField())
OtherInner = make_serializer("OtherInner", a=serializers.IntegerField())
ShortNames = make_serializer("Inner", a=serializers.CharField(max_length=3))


def short() -> Any:
    return serializers.CharField(max_length=3)


SERIALIZERS: dict[str, Callable[[], dict[str, Any]]] = {
    "field": lambda: {"a": serializers.CharField()},
    "other name": lambda: {"b": serializers.CharField()},
    "type": lambda: {"a": serializers.IntegerField()},
    "source": lambda: {"a": serializers.CharField(source="owner.name")},
    "required": lambda: {"a": serializers.CharField(required=False)},
    "null": lambda: {"a": serializers.CharField(allow_null=True)},
    "read_only": lambda: {"a": serializers.CharField(read_only=True)},
    "write_only": lambda: {"a": serializers.CharField(write_only=True)},
    "max_length": lambda: {"a": serializers.CharField(max_length=5)},
    "default": lambda: {"a": serializers.CharField(default="x")},
    "other default": lambda: {"a": serializers.CharField(default="y")},
    "choices": lambda: {"a": serializers.ChoiceField(["x"])},
    "other choices": lambda: {"a": serializers.ChoiceField(["x", "y"])},
    "format": lambda: {"a": serializers.DateField(format="%Y")},
    "list": lambda: {"a": serializers.ListField(child=serializers.CharField())},
    "list of others": lambda: {"a": serializers.ListField(child=serializers.IntegerField())},
    "list of short": lambda: {"a": serializers.ListField(child=short())},
    "dict": lambda: {"a": serializers.DictField(child=serializers.CharField())},
    "nested": lambda: {"a": Inner()},
    "other nested": lambda: {"a": OtherInner()},
    "nested, changed inside": lambda: {"a": ShortNames()},
    "many nested": lambda: {"a": Inner(many=True)},
    "many nested, changed inside": lambda: {"a": ShortNames(many=True)},
    "row": lambda: {"a": serializers.PrimaryKeyRelatedField(queryset=Owner.objects.all())},
    "other row": lambda: {"a": serializers.PrimaryKeyRelatedField(queryset=Product.objects.all())},
    "rows": lambda: {"a": serializers.PrimaryKeyRelatedField(many=True, read_only=True)},
    "slugs": lambda: {"a": serializers.SlugRelatedField("name", many=True, read_only=True)},
    "other slugs": lambda: {"a": serializers.SlugRelatedField("pk", many=True, read_only=True)},
    "method": lambda: {"a": serializers.SerializerMethodField()},
    "other method": lambda: {"a": serializers.SerializerMethodField("get_other")},
}  # fmt: skip


def test_serializer_when_its_structure_changes_has_another_fingerprint() -> None:
    """At any depth; each change by itself, and no two alike."""

    def prints() -> dict[str, str]:
        made = {name: make_serializer(**fields()) for name, fields in SERIALIZERS.items()}
        return {name: fingerprint(serializer_structure(cls)) for name, cls in made.items()}

    assert len(set(prints().values())) == len(SERIALIZERS)
    assert prints() == prints()


def test_serializer_when_only_words_change_keeps_its_fingerprint() -> None:
    """Labels, help, styles and messages."""
    words = {"label": "L", "help_text": "H", "style": {"x": 1}, "error_messages": {"invalid": "!"}}
    one = make_serializer(a=serializers.CharField())
    two = make_serializer(a=serializers.CharField(**words))
    assert serializer_structure(one) == serializer_structure(two)


def test_serializer_of_a_model_follows_the_model() -> None:
    """Fields that are built of a model have its options."""
    structure = serializer_structure(OwnerSerializer)
    assert set(structure["fields"]) == {"id", "name"}
    assert structure["fields"]["name"]["options"]["max_length"] == 50


def test_serializer_inside_of_itself_ends() -> None:
    """It is described once."""

    def get_fields(self: Any) -> Any:
        return {"children": type(self)(many=True)}

    structure = serializer_structure(make_serializer("Tree", get_fields=get_fields))
    assert len(fingerprint(structure)) == 43
    assert "Tree" in str(structure["fields"]["children"])


def test_serializer_without_fields_is_known_by_its_name() -> None:
    """A base serializer does everything in code."""
    plain = make_serializer("Plain", serializers.BaseSerializer)
    assert "Plain" in serializer_structure(plain)["serializer"]
