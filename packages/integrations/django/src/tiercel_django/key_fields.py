"""Key fields for Django and DRF; importing them imports neither."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Unpack

from tiercel import RequestValueKeyField
from tiercel.spi import (
    ConfigurationError,
    KeyField,
    KeyFieldOptions,
    Part,
    RequestKeyField,
    RequestKeyFieldOptions,
    Target,
)


class StructureKeyField(KeyField):
    """What a class looks like: entries made for another version of it are not found any more.

    It is computed once, at decoration or, before Django has loaded all models, at the first call;
    it adds nothing to the cost of a call.

    Args:
        cls: The class, or None to add nothing to the key.
        options: As of `KeyField`.

    Raises:
        ConfigurationError: It is no class of the right kind.
    """

    name: str
    """What the value is called in the key."""

    def __init__(self, cls: type | None, **options: Unpack[KeyFieldOptions]) -> None:
        super().__init__(**options)
        if cls is not None:
            self.check(cls)
        self.cls: Any = cls

    def parts(self, target: Target) -> Sequence[Part]:
        if self.cls is None:
            return []
        from django.apps import apps

        if apps.models_ready:
            return [Part(self.name, constant=self.fingerprint)]
        return [Part(self.name, extract=lambda: self.fingerprint)]

    @cached_property
    def fingerprint(self) -> str:
        """The 256-bit digest of what the class looks like."""
        from tiercel_django.structure import fingerprint

        return fingerprint(self.structure())

    @abstractmethod
    def check(self, cls: object) -> None:
        """Raise `ConfigurationError` if this is no class of the right kind."""

    @abstractmethod
    def structure(self) -> Any:
        """Describe the class by plain data."""


class DjangoModelKeyField(StructureKeyField):
    """The structure of a model: its fields with their types, options and choices.

    Texts for people do not count, such as `verbose_name` and `help_text`; nor do methods.

    Args:
        model_class: The model, or None to add nothing to the key.
        options: As of `KeyField`.

    Raises:
        ConfigurationError: It is no model.
    """

    name = "model_structure"

    def __init__(self, model_class: type | None, **options: Unpack[KeyFieldOptions]) -> None:
        super().__init__(model_class, **options)

    def check(self, cls: object) -> None:
        from django.db.models import Model

        if not (isinstance(cls, type) and issubclass(cls, Model)):
            raise ConfigurationError(f"DjangoModelKeyField needs a model class, not {cls!r}")

    def structure(self) -> Any:
        from tiercel_django.structure import model_structure

        return model_structure(self.cls)


class DrfSerializerKeyField(StructureKeyField):
    """The structure of a serializer of Django REST framework, nested ones included.

    That is its fields with their types, sources, options and choices. The code of methods does
    not count: raise `version` of the key when that changes.

    Args:
        serializer_class: The serializer, or None to add nothing to the key.
        options: As of `KeyField`.

    Raises:
        ConfigurationError: It is no serializer, or cannot be made without arguments.
    """

    name = "serializer_structure"

    def __init__(self, serializer_class: type | None, **options: Unpack[KeyFieldOptions]) -> None:
        super().__init__(serializer_class, **options)

    def check(self, cls: object) -> None:
        try:
            from rest_framework.serializers import BaseSerializer
        except ImportError as error:
            raise ConfigurationError(
                f"DrfSerializerKeyField needs djangorestframework: {error}"
            ) from error
        if not (isinstance(cls, type) and issubclass(cls, BaseSerializer)):
            raise ConfigurationError(f"DrfSerializerKeyField needs a serializer class, not {cls!r}")

    def structure(self) -> Any:
        from tiercel_django.structure import serializer_structure

        return serializer_structure(self.cls)


class UserKeyField(RequestKeyField):
    """The primary key of the user who is logged in; None for everybody else.

    Views with this field keep private responses too, each for its user. In async views
    `await request.auser()` must come first, as `request.user` may query.
    """

    identifies_user = True

    def read(self, request: Any) -> Any:
        user = getattr(request, "_acached_user", None) or request.user
        return user.pk if user.is_authenticated else None

    def label(self, target: Target) -> str:
        return "user"


class TenantKeyField(RequestValueKeyField):
    """The tenant that a request is for.

    Args:
        source: A dotted path from the request, or a function that is called with it. A tenant
            that is a row of a model stands in the key by its primary key.
        options: As of `RequestKeyField`.

    Raises:
        ConfigurationError: The source is neither, or a coroutine function.
    """

    def __init__(
        self,
        source: str | Callable[[Any], Any] = "tenant",
        **options: Unpack[RequestKeyFieldOptions],
    ) -> None:
        known = isinstance(source, str) or callable(source)
        if not known or inspect.iscoroutinefunction(source):
            raise ConfigurationError(
                f"TenantKeyField needs a dotted path or a plain function, not {source!r}"
            )
        super().__init__(source if isinstance(source, str) else "tenant", **options)
        self.source = source

    def read(self, request: Any) -> Any:
        return super().read(request) if isinstance(self.source, str) else self.source(request)

    def label(self, target: Target) -> str:
        return "tenant"


class LanguageKeyField(KeyField):
    """The active language, as `django.utils.translation` has it; None if translation is off."""

    def parts(self, target: Target) -> Sequence[Part]:
        from django.utils.translation import get_language

        return [Part("language", extract=get_language)]


class TimezoneKeyField(KeyField):
    """The name of the current time zone, as `django.utils.timezone` has it."""

    def parts(self, target: Target) -> Sequence[Part]:
        from django.utils.timezone import get_current_timezone_name

        return [Part("timezone", extract=get_current_timezone_name)]


_PAGINATED_BY = ("page", "page_size", "limit", "offset", "cursor")


class PaginationKeyField(RequestKeyField):
    """The query parameters that the paginator of a view of Django REST framework reads.

    Other parameters do not tell requests apart: name those of filters in `params`.

    Args:
        params: Further parameters that count.
        options: As of `RequestKeyField`.
    """

    def __init__(
        self, params: Sequence[str] = (), **options: Unpack[RequestKeyFieldOptions]
    ) -> None:
        super().__init__(**options)
        self.params = (params,) if isinstance(params, str) else tuple(params)

    def read(self, request: Any) -> Any:
        paginator = getattr(request.parser_context["view"], "paginator", None)
        own = (getattr(paginator, f"{name}_query_param", None) for name in _PAGINATED_BY)
        query = request.query_params
        return {name: query.getlist(name) for name in (*own, *self.params) if name in query}
