"""Tiercel in Django."""

from tiercel_django.key_fields import (
    DjangoModelKeyField,
    DrfSerializerKeyField,
    LanguageKeyField,
    PaginationKeyField,
    TenantKeyField,
    TimezoneKeyField,
    UserKeyField,
)

__all__ = [
    "DjangoModelKeyField",
    "DrfSerializerKeyField",
    "LanguageKeyField",
    "PaginationKeyField",
    "TenantKeyField",
    "TimezoneKeyField",
    "UserKeyField",
]
