"""How instances of Django's types stand in keys; each returns a value that keys know already."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, models, router
from django.db.models.query import Prefetch
from django.utils.datastructures import MultiValueDict
from django.utils.functional import LazyObject, Promise
from django.utils.safestring import SafeString

from tiercel.spi import StandsFor, UnkeyableValue


def model(instance: models.Model) -> Any:
    """A saved row: its primary key and, if that is not the default, the database it is kept in.

    That is the database to which it would be saved. So a row read from a replica has the key of
    the row in the primary, and rows of two shards differ.

    Raises:
        UnkeyableValue: The row was not saved.
    """
    key = instance.pk
    if key is None or instance._state.adding:
        raise UnkeyableValue("it is not saved, so no primary key identifies it", "save it first")
    # Until it is read back, an instance may hold the text of a number.
    identity = instance._meta.pk.to_python(key)
    alias = instance._state.db
    if len(settings.DATABASES) > 1:
        alias = router.db_for_write(type(instance), instance=instance)
    return identity if alias in (None, DEFAULT_DB_ALIAS) else (identity, alias)


def queryset(value: Any) -> Any:
    """What would be fetched: compiled SQL with its parameters, database, and kind of results.

    Two querysets that ask for the same rows by other SQL are different.
    """
    # Not `value.db`: which of several replicas is read does not matter.
    alias = value._db or router.db_for_write(value.model, **value._hints)
    try:
        sql, parameters = value.query.get_compiler(using=alias).as_sql()
    except EmptyResultSet:
        sql, parameters = "", ()
    lookups = tuple(map(_prefetch, value._prefetch_related_lookups))
    results = (value._iterable_class, value._fields, lookups)
    return (value.model, alias, sql, tuple(parameters), *results)


def _prefetch(lookup: str | Prefetch[Any, Any, Any]) -> Any:
    if not isinstance(lookup, Prefetch):
        return lookup
    querysets = getattr(lookup, "querysets", None)  # of a GenericPrefetch
    return (lookup.prefetch_through, lookup.prefetch_to, lookup.queryset, querysets)


def raw_queryset(value: Any) -> Any:
    """The SQL as it was written, its parameters and database."""
    alias = value._db or router.db_for_write(value.model, **value._hints)
    lookups = tuple(map(_prefetch, value._prefetch_related_lookups))
    return (value.model, alias, value.raw_query, value.params, value.translations, lookups)


def manager(value: Any) -> Any:
    """Refuse a manager: the rows it stands for depend on where it comes from."""
    raise UnkeyableValue("a manager is no list of rows", "pass a queryset, as from its all()")


def nobody(value: Any) -> Any:
    """Whoever is not logged in is one and the same."""
    return None


def safe_string(value: SafeString) -> str:
    """The text; it differs from the same text that must be escaped."""
    return str.__str__(value)


def promise(value: Promise) -> StandsFor:
    """What a lazy text, or anything from `lazy()`, is at the moment, as in the active language."""
    _, (function, arguments, keywords, *_) = value.__reduce__()  # type: ignore[misc]
    return StandsFor(function(*arguments, **keywords))


def lazy_object(value: LazyObject[Any]) -> StandsFor:
    """The object that is behind it, such as `request.user`."""
    _, (wrapped,) = value.__reduce__()
    return StandsFor(wrapped)


def multi_value_dict(value: MultiValueDict[str, Any]) -> dict[str, list[Any]]:
    """All values of each key, in order; the order of the keys does not count."""
    return dict(value.lists())


def request(value: Any) -> Any:
    """Refuse a request: no two are the same."""
    raise UnkeyableValue(
        "no two requests are the same",
        "key on what counts of it, with fields such as PathKeyField, QueryParamsKeyField, "
        "UserKeyField or ViewKwargsKeyField",
    )


def json_value(value: Any) -> Any:
    """What psycopg writes as JSON."""
    return value.obj


def value_range(value: Any) -> Any:
    """Both ends of a range of PostgreSQL, and which of them belong to it."""
    return (value.lower, value.upper, value.bounds)
