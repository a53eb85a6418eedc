"""Requests that mean different things, and meet under one key where keys are built by hand."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Hashable
from typing import Any
from urllib.parse import parse_qsl, unquote

from tiercel.contracts.web import WebRequest
from tiercel.testing.attacks.row import Attack, always, ask, gets
from tiercel.testing.pages import Answer, text


def _showing_query(request: WebRequest, body: bytes) -> Answer:
    shown = sorted((name, list(values)) for name, values in request.query.items())
    return text(f"query {shown}")


def _showing_url(request: WebRequest, body: bytes) -> Answer:
    return text(f"for {sorted((k, str(v)) for k, v in request.url_args.items())!a}")


def _showing_name(request: WebRequest, body: bytes) -> Answer:
    return text(f"for {request.header('x-tenant')!r} at {request.path}")


def _tenant(request: Any) -> Any:
    """The tenant of a request of any framework."""
    headers: Any = request.headers
    return headers.get("X-Tenant")


def _first_values(request: WebRequest) -> Hashable:
    return request.path, tuple(sorted((k, v[0]) for k, v in request.query.items() if v))


def _names(request: WebRequest) -> Hashable:
    return request.path, frozenset(request.query)


def _without_blanks(request: WebRequest) -> Hashable:
    return request.path, tuple(sorted(parse_qsl(request.query_string)))


def _unquoted(request: WebRequest) -> Hashable:
    return request.path, unquote(request.query_string)


def _lower_query(request: WebRequest) -> Hashable:
    return request.path, request.query_string.lower()


def _sorted_pieces(request: WebRequest) -> Hashable:
    return request.path, "&".join(sorted(request.query_string.split("&")))


def _split_at_semicolon(request: WebRequest) -> Hashable:
    return request.path, request.query_string.partition(";")[0]


def _joined(request: WebRequest) -> Hashable:
    return ":".join(str(value) for value in request.url_args.values())


def _lower(request: WebRequest) -> Hashable:
    return request.path.lower()


def _composed(request: WebRequest) -> Hashable:
    return unicodedata.normalize("NFKC", request.path)


def _resolved(request: WebRequest) -> Hashable:
    return posixpath.normpath(request.path)


def _ascii(request: WebRequest) -> Hashable:
    return request.path.encode("ascii", "ignore")


def _cut(request: WebRequest) -> Hashable:
    return request.path[:64]


def _prefixed(request: WebRequest) -> Hashable:
    return f"{request.header('x-tenant')}{request.path}"


def _printed(request: WebRequest) -> Hashable:
    return f"{request.header('x-tenant')}|{request.path}"


_TENANTS: dict[str, Any] = {"namespace": _tenant}
_PAIR = "/pair/{one}/{other}"
_ITEM = "/item/{name:path}"

ROWS = (
    Attack(
        "of a repeated parameter the first value counts alone",
        always(_showing_query),
        gets("/page?id=1&id=2", "/page?id=1&id=3"),
        naive=_first_values,
    ),
    Attack(
        "values of parameters do not count",
        always(_showing_query),
        gets("/page?id=1", "/page?id=2"),
        naive=_names,
    ),
    Attack(
        "an empty parameter is as good as none",
        always(_showing_query),
        gets("/page?admin=", "/page"),
        naive=_without_blanks,
    ),
    Attack(
        "an escaped separator becomes a separator",
        always(_showing_query),
        gets("/page?a=1%26b%3D2", "/page?a=1&b=2"),
        naive=_unquoted,
    ),
    Attack(
        "letters of a query lose their case",
        always(_showing_query),
        gets("/page?token=aB", "/page?token=Ab"),
        naive=_lower_query,
    ),
    Attack(
        "the order of repeated parameters is lost",
        always(_showing_query),
        gets("/page?sort=name&sort=age", "/page?sort=age&sort=name"),
        naive=_sorted_pieces,
    ),
    Attack(
        "a semicolon hides a parameter",
        always(_showing_query),
        gets("/page?a=1;id=1", "/page?a=1;id=2"),
        naive=_split_at_semicolon,
    ),
    Attack(
        "a separator in an argument of the URL moves the border",
        always(_showing_url),
        gets("/pair/a:b/c", "/pair/a/b:c"),
        naive=_joined,
        route=_PAIR,
    ),
    Attack(
        "arguments of the URL do not count",
        always(_showing_url),
        gets("/pair/a/b", "/pair/b/a"),
        naive=lambda request: "".join(sorted(str(each) for each in request.url_args.values())),
        route=_PAIR,
    ),
    Attack(
        "letters of a path lose their case",
        always(_showing_url),
        gets("/item/Admin", "/item/admin"),
        naive=_lower,
        route=_ITEM,
    ),
    Attack(
        "characters of a path are composed",
        always(_showing_url),
        gets("/item/%EF%BC%A1dmin", "/item/Admin"),
        naive=_composed,
        route=_ITEM,
    ),
    Attack(
        "characters of a path that are not ASCII are lost",
        always(_showing_url),
        gets("/item/%C3%A9tat", "/item/%C3%BCtat"),
        naive=_ascii,
        route=_ITEM,
    ),
    Attack(
        "dots in a path lead to another page",
        always(_showing_url),
        gets("/item/x/%2E%2E/y", "/item/y"),
        naive=_resolved,
        route=_ITEM,
    ),
    Attack(
        "an escaped percent sign is unescaped twice",
        always(_showing_url),
        gets("/item/%2541", "/item/A"),
        naive=lambda request: unquote(request.path),
        route=_ITEM,
    ),
    Attack(
        "long keys are cut off",
        always(_showing_url),
        gets(f"/item/{'a' * 300}1", f"/item/{'a' * 300}2"),
        naive=_cut,
        route=_ITEM,
    ),
    Attack(
        "a tenant's name runs into the path",
        always(_showing_name),
        [ask("/item/a", X_Tenant="/item"), ask("/item/item/a", X_Tenant="")],
        naive=lambda request: f"{request.header('x-tenant')}{request.path}".replace("//", "/"),
        options=_TENANTS,
        route=_ITEM,
    ),
    Attack(
        "a tenant's name is made to look like another's",
        always(_showing_name),
        [ask("/item/a", X_Tenant="a/item"), ask("/item/item/a", X_Tenant="a")],
        naive=_prefixed,
        options=_TENANTS,
        route=_ITEM,
    ),
    Attack(
        "nobody is taken for somebody called None",
        always(_showing_name),
        [ask(X_Tenant="None"), ask()],
        naive=_printed,
        options=_TENANTS,
    ),
    Attack(
        "tenants share what one path answers",
        always(_showing_name),
        [ask(X_Tenant="a"), ask(X_Tenant="b")],
        options=_TENANTS,
    ),
)
