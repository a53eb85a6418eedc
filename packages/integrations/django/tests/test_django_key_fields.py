"""Key fields for the structure of classes, and for what a request is about."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import rest_framework.serializers
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.translation import override
from pytest_django import Settings

from packages.integrations.django.tests.shop.models import Owner
from tiercel import (
    ArgsKeyField,
    Cache,
    ConfigurationError,
    KeyConstructor,
    UnkeyableValue,
)
from tiercel.spi import KeyField
from tiercel_django import (
    DjangoModelKeyField,
    DrfSerializerKeyField,
    LanguageKeyField,
    TenantKeyField,
    TimezoneKeyField,
    UserKeyField,
    structure,
)

serializers: Any = rest_framework.serializers
meta = type("Meta", (), {"model": Owner, "fields": ("id", "name")})
OwnerSerializer = type("OwnerSerializer", (serializers.ModelSerializer,), {"Meta": meta})


def key_of(*fields: KeyField, function: Callable[..., Any] = lambda request: None) -> Any:
    """What builds the keys of a function with these fields."""
    named = {f"field{number}": field for number, field in enumerate(fields)}
    return Cache().cached(key=named, name="tests:f")(function).get_cache_key


# The structure of a class


def test_structure_is_computed_once_and_stands_in_every_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At decoration; a call does no more than without it."""
    computed: list[Any] = []
    original = structure.model_structure

    def model_structure(model: Any) -> Any:
        computed.append(model)
        return original(model)

    monkeypatch.setattr(structure, "model_structure", model_structure)
    field = DjangoModelKeyField(Owner)

    class Key(KeyConstructor):
        number = ArgsKeyField("number")
        model = field
        form = DrfSerializerKeyField(OwnerSerializer)

    cached: Any = Cache().cached(key=Key, name="tests:f")(lambda number: None)
    assert computed == [Owner]
    keys = {cached.get_cache_key(number) for number in range(5)}
    assert len(keys) == 5
    assert all(f"model_structure='{field.fingerprint}" in key for key in keys)
    assert all("serializer_structure='" in key for key in keys)
    assert cached.cached_function.plan.fast_arguments == ("number",)
    assert computed == [Owner]


def test_structure_before_the_models_are_loaded_waits_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A function may be decorated in a module that models import."""
    expected = key_of(DjangoModelKeyField(Owner))(1)
    monkeypatch.setattr(apps, "models_ready", False)
    field = DjangoModelKeyField(Owner)
    cached = Cache().cached(key={"field0": field}, name="tests:f")(lambda request: None)
    assert "fingerprint" not in vars(field)
    monkeypatch.undo()
    assert cached.get_cache_key(1) == expected


def test_structure_of_nothing_adds_nothing() -> None:
    """For code that has its class from elsewhere."""
    bare = key_of(ArgsKeyField("request"))
    fields = (DjangoModelKeyField(None), DrfSerializerKeyField(None))
    assert key_of(ArgsKeyField("request"), *fields)(1) == bare(1)


@pytest.mark.parametrize("wrong", [Owner(), "shop.Owner", int, 5, OwnerSerializer, object])
def test_model_field_when_it_gets_no_model_is_refused(wrong: Any) -> None:
    """A ValueError, that names what was given."""
    with pytest.raises(ConfigurationError, match="DjangoModelKeyField needs a model class, not"):
        DjangoModelKeyField(wrong)
    assert issubclass(ConfigurationError, ValueError)


@pytest.mark.parametrize("wrong", [OwnerSerializer(), "x", int, Owner])
def test_serializer_field_when_it_gets_no_serializer_is_refused(wrong: Any) -> None:
    """Likewise."""
    with pytest.raises(ConfigurationError, match="DrfSerializerKeyField needs a serializer class"):
        DrfSerializerKeyField(wrong)


def test_serializer_that_needs_arguments_is_refused_at_decoration() -> None:
    """With what it said."""

    def demand(self: Any, shop: str) -> None:
        raise AssertionError("never made")

    demanding = type("Demanding", (serializers.Serializer,), {"__init__": demand})
    with pytest.raises(ConfigurationError, match=r"fields of .*Demanding cannot be read: TypeE"):
        key_of(DrfSerializerKeyField(demanding))


def test_field_by_itself_may_be_the_key() -> None:
    """`key=` takes one field where one is all it needs."""
    by_field = Cache().cached(key=ArgsKeyField("number"), name="tests:f")(lambda number, other: 0)
    assert by_field.get_cache_key(1, 2) == by_field.get_cache_key(1, 3)
    by_model = Cache().cached(key=DjangoModelKeyField(Owner), name="tests:f")(lambda: 0)
    assert "model_structure=" in by_model.get_cache_key()


# What a request is about


@pytest.fixture
def request_of(rf: RequestFactory) -> Callable[..., HttpRequest]:
    """A request with attributes that middleware sets."""

    def make(**attributes: Any) -> HttpRequest:
        request = rf.get("/")
        for name, value in attributes.items():
            setattr(request, name, value)
        return request

    return make


@pytest.mark.django_db
def test_user_is_known_by_its_primary_key(request_of: Callable[..., HttpRequest]) -> None:
    """All who are not logged in are one; lazy as middleware has it."""
    key = key_of(UserKeyField(partition=True))
    ann, bob = (User.objects.create(username=name) for name in ("ann", "bob"))
    lazy = SimpleLazyObject(lambda: User.objects.get(pk=ann.pk))
    texts = [key(request_of(user=user)) for user in (ann, bob, lazy, AnonymousUser())]
    assert texts[0] == texts[2]
    assert len(set(texts)) == 3
    assert f"user={ann.pk}" in texts[0]
    assert "user=None" in texts[3]
    awaited = request_of(_acached_user=bob)
    assert key(awaited) == texts[1]


def test_user_when_there_is_no_authentication_is_refused(
    request_of: Callable[..., HttpRequest],
) -> None:
    """Nobody shares an entry by accident."""
    with pytest.raises(UnkeyableValue, match="has no attribute 'user'"):
        key_of(UserKeyField())(request_of())


@pytest.mark.django_db
def test_tenant_is_what_the_project_says(request_of: Callable[..., HttpRequest]) -> None:
    """An attribute, a path, or a function."""
    owner = Owner.objects.create(name="a")
    request = request_of(tenant=owner, shop={"slug": "acme"})
    texts = {
        f"shop.models/Owner({owner.pk})": TenantKeyField(),
        f"tenant={owner.pk}": TenantKeyField("tenant.pk"),
        "tenant='acme": TenantKeyField("shop.slug"),
        "tenant='testserver": TenantKeyField(lambda request: request.get_host()),
    }
    for text, field in texts.items():
        assert text in key_of(field)(request)
    with pytest.raises(UnkeyableValue, match="no attribute 'tenant'"):
        key_of(TenantKeyField())(request_of())


@pytest.mark.parametrize("wrong", [5, None])
def test_tenant_that_cannot_be_read_is_refused(wrong: Any) -> None:
    """A coroutine function cannot be awaited while a key is built."""

    async def coroutine(request: Any) -> str:
        return "x"

    for source in (wrong, coroutine):
        with pytest.raises(ConfigurationError, match="needs a dotted path or a plain function"):
            TenantKeyField(source)


def test_language_is_the_active_one() -> None:
    """Of this thread, not of the settings."""
    key = key_of(LanguageKeyField())
    with override("de"):
        german = key(1)
        assert "language='de" in german
    with override("pt-br"):
        assert key(1) != german
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(key(1)))
        thread.start()
        thread.join()
    assert found == [key(1)]


def test_timezone_is_the_current_one(settings: Settings) -> None:
    """By its name."""
    settings.TIME_ZONE = "Europe/Berlin"
    key = key_of(TimezoneKeyField())
    assert "timezone='Europe/Berlin" in key(1)
    with timezone.override("Asia/Tokyo"):
        assert "timezone='Asia/Tokyo" in key(1)
