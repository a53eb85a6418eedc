"""Key fields: what each puts into a key, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest

from tiercel.contracts.key_field import ABSENT, KeyField, Part, Target
from tiercel.errors import ConfigurationError, UnkeyableValue
from tiercel.keys.fields import (
    ArgsKeyField,
    CacheKeyField,
    CallableKeyField,
    ConstantKeyField,
    ContextVarKeyField,
    SettingKeyField,
    TimeBucketKeyField,
    ViewKwargsKeyField,
)
from tiercel.keys.plan import compile_plan
from tiercel.keys.request_fields import (
    CookieKeyField,
    HeaderKeyField,
    HostKeyField,
    MethodKeyField,
    PathKeyField,
    QueryParamsKeyField,
    RequestValueKeyField,
)


def get_user(user_id: Any, page: Any = 1, *args: Any, **kwargs: Any) -> None:
    """A function with every kind of parameter that has a name."""


def view(request: Any) -> None:
    """A function view."""


class View:
    """A class-based view that knows its request."""

    def __init__(self, request: Any) -> None:
        self.request = request

    def get(self, pk: int) -> None:
        """Has no argument for the request."""

    def post(self, **kwargs: Any) -> None:
        """May get the request as a keyword."""


def text(field: KeyField, target: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """What a field, called `it`, puts into the key of a call."""
    return compile_plan({"it": field}, target).explain(*args, **kwargs).get("it", "")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (ConstantKeyField("v", "1"), "v='1"),
        (ConstantKeyField("v", 1), "v=1"),
        (ArgsKeyField(), "user_id=7,page=1,args=(8),kwargs=dict('x=9)"),
        (ArgsKeyField("user_id"), "user_id=7"),
        (ArgsKeyField(["page", "user_id"]), "page=1,user_id=7"),
        (ArgsKeyField("x"), "x=9"),
        (ArgsKeyField("y"), "y=absent"),
        (ArgsKeyField("user_id", normalizer=str), "user_id='7"),
        (ArgsKeyField("x", normalizer=str), "x='9"),
        (ViewKwargsKeyField(), "user_id=7,page=1,args=(8),kwargs=dict('x=9)"),
        (CallableKeyField(lambda page, user_id: [page, user_id]), "it=[1,7]"),
        (CallableKeyField(lambda other=5, **rest: other + len(rest)), "it=9"),
        (SettingKeyField("A.b", {"A": SimpleNamespace(b=2)}), "A.b=2"),
        (SettingKeyField("A", {}), "A=absent"),
        (SettingKeyField("A", lambda name: name * 2), "A='AA"),
        (TimeBucketKeyField(60, clock=lambda: 119.9), "it=1"),
    ],
)
def test_field_puts_its_value_under_its_name(field: KeyField, expected: str) -> None:
    """Every field has a legible text."""
    assert text(field, get_user, 7, 1, 8, x=9) == expected


def test_cache_key_field_is_the_base_of_fields() -> None:
    """The name that Restflow uses works for isinstance and subclassing."""
    assert CacheKeyField is KeyField


def test_args_field_follows_a_path_of_attributes_and_keys() -> None:
    """A mapping may lack a key and a path may end at None; an object must have the attribute."""
    field = ArgsKeyField("user_id", path="profile.tenant")
    assert (
        text(field, get_user, SimpleNamespace(profile={"tenant": 3})) == "user_id.profile.tenant=3"
    )
    assert text(field, get_user, {"profile": {}}) == "user_id.profile.tenant=absent"
    assert text(field, get_user, {"profile": None}) == "user_id.profile.tenant=absent"
    with pytest.raises(UnkeyableValue, match=r"AttributeError: .* has no attribute 'profile'"):
        text(field, get_user, 7)


def test_args_field_with_a_normalizer_that_raises_is_an_error() -> None:
    """The message names argument and field; the exception is its cause."""
    with pytest.raises(UnkeyableValue) as caught:
        text(ArgsKeyField("user_id", normalizer=int), get_user, "x")
    assert str(caught.value) == (
        f"argument 'user_id' of {__name__}:get_user (key field InlineKey.it): its value cannot be "
        "read, ValueError: invalid literal for int() with base 10: 'x'"
    )
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (
            ArgsKeyField("pkk"),
            (
                "key field InlineKey.it names the argument 'pkk', which m:f does not have; "
                "did you mean 'pk'?"
            ),
        ),
        (
            ArgsKeyField("user"),
            "key field InlineKey.it names the argument 'user', which m:f does not have; it has pk",
        ),
        (
            CallableKeyField(lambda user: user),
            "key field InlineKey.it names the argument 'user', which m:f does not have; it has pk",
        ),
        (
            MethodKeyField(),
            (
                "key field InlineKey.it names the argument 'request', which m:f does not have; "
                "it has pk"
            ),
        ),
        (
            CallableKeyField(lambda pk, /: pk),
            (
                "key field InlineKey.it: its function is called with keywords, so it cannot take "
                "the positional 'pk'"
            ),
        ),
    ],
)
def test_field_that_does_not_fit_the_function_is_an_error_at_decoration(
    field: KeyField, message: str
) -> None:
    """Nobody has to call the function to learn of a misspelt name."""

    def function(pk: int) -> None: ...

    with pytest.raises(ConfigurationError) as caught:
        compile_plan({"it": field}, function, function="m:f")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "make",
    [
        lambda: ArgsKeyField("a", partitoin=True),  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        lambda: ArgsKeyField("a", partition="yes"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lambda: ArgsKeyField(()),
        lambda: ArgsKeyField("a", normalizer="int"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lambda: CallableKeyField(3),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lambda: ContextVarKeyField("tenant"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lambda: TimeBucketKeyField(0),
        lambda: TimeBucketKeyField(float("nan")),
        lambda: HeaderKeyField(""),
        lambda: Part("x"),
    ],
)
def test_field_with_a_wrong_option_is_an_error(make: Callable[[], object]) -> None:
    """Options are checked where the field is written."""
    with pytest.raises((ConfigurationError, TypeError)):
        make()


def test_context_variable_is_read_at_each_call() -> None:
    """A variable that is not set is a value of its own, unlike None."""
    tenant: ContextVar[str | None] = ContextVar("tenant")
    field = ContextVarKeyField(tenant)
    assert text(field, view, None) == "tenant=absent"
    tenant.set(None)
    assert text(field, view, None) == "tenant=None"


def test_sort_lists_ignores_the_order_of_lists_in_that_field_only() -> None:
    """The option belongs to the field."""
    fields = {"a": ArgsKeyField("user_id", sort_lists=True), "b": ArgsKeyField("page")}
    plan = compile_plan(fields, get_user)
    assert plan.key([2, 1], 0) == plan.key([1, 2], 0)
    assert plan.key(0, [2, 1]) != plan.key(0, [1, 2])


def test_hash_value_keeps_the_value_out_of_the_key() -> None:
    """Personal data does not stand in keys, and different values still have different keys."""
    plan = compile_plan({"mail": ArgsKeyField(["user_id", "page"], hash_value=True)}, get_user)
    key = plan.key("bob@example.com").text
    assert "bob" not in key
    assert ":user_id+page=#" in key
    assert key != plan.key("eve@example.com").text


class Multi(dict[str, list[str]]):
    """Several values for each key, as Django's and Werkzeug's have them."""

    def lists(self) -> Sequence[tuple[str, list[str]]]:
        return list(self.items())


class Pairs:
    """Several values for each key, as Starlette has them."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self.pairs = pairs

    def multi_items(self) -> Sequence[tuple[str, str]]:
        return self.pairs

    def getlist(self, key: str) -> list[str]:
        return [value for name, value in self.pairs if name == key.lower()]


def django() -> Any:
    """Looks like Django's HttpRequest."""
    return SimpleNamespace(
        GET=Multi(a=["1", "2"], b=["3"]),
        headers={"Accept": "text/html"},
        COOKIES={"sid": "s"},
        method="get",
        path="/a/",
        get_host=lambda: "Example.com:80",
    )


def flask() -> Any:
    """Looks like Flask's request."""
    return SimpleNamespace(
        args=Multi(a=["1", "2"], b=["3"]),
        headers=Pairs(("accept", "text/html")),
        cookies={"sid": "s"},
        method="GET",
        path="/a/",
        host="example.com:80",
    )


def starlette() -> Any:
    """Looks like Starlette's Request."""
    return SimpleNamespace(
        query_params=Pairs(("a", "1"), ("a", "2"), ("b", "3")),
        headers=Pairs(("accept", "text/html")),
        cookies={"sid": "s"},
        method="GET",
        url=SimpleNamespace(path="/a/", netloc="example.com:80"),
    )


def plain() -> Any:
    """A dict."""
    return {
        "query_params": {"b": "3", "a": ["1", "2"]},
        "headers": {"ACCEPT": "text/html"},
        "cookies": {"sid": "s"},
        "method": "GET",
        "path": "/a/",
        "host": "example.com:80",
    }


REQUESTS = [django, flask, starlette, plain]


@pytest.mark.parametrize("make", REQUESTS, ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (QueryParamsKeyField(), "it=dict('a=['1,'2],'b=['3])"),
        (QueryParamsKeyField(["b", "c"]), "it=dict('b=['3])"),
        (HeaderKeyField("accept"), "accept='text/html"),
        (HeaderKeyField("X-None"), "x-none=None"),
        (CookieKeyField("sid"), "sid='s"),
        (CookieKeyField("none"), "none=None"),
        (MethodKeyField(), "it='GET"),
        (PathKeyField(), "it='/a/"),
        (HostKeyField(), "it='example.com%3A80"),
        (RequestValueKeyField("method", hash_value=False), None),
    ],
)
def test_request_field_reads_requests_of_every_framework(
    make: Callable[[], Any], field: KeyField, expected: str | None
) -> None:
    """The same request gives the same key, whichever framework parsed it."""
    assert text(field, view, make()) == (expected or text(field, view, request=make()))


def test_repeated_headers_keep_all_values() -> None:
    """No value of a repeated header is lost."""
    request = SimpleNamespace(headers=Pairs(("via", "a"), ("via", "b")))
    assert text(HeaderKeyField("Via"), view, request) == "via=['a,'b]"


def test_request_field_finds_the_request_of_a_view() -> None:
    """Without an argument for it, the request is that of the view, or a keyword."""
    field = MethodKeyField()
    assert text(field, View.get, View(plain()), 5) == "it='GET"
    assert text(field, View.post, View({"method": "post"})) == "it='POST"
    assert text(field, View.post, View(None), request=plain()) == "it='GET"
    with pytest.raises(ConfigurationError, match="names the argument 'request'"):
        compile_plan({"it": MethodKeyField(view_self_request_fallback=False)}, View.get)


def test_request_field_takes_another_argument() -> None:
    """The request may be called otherwise."""

    def resolver(info: Mapping[str, Any]) -> None: ...

    assert text(MethodKeyField(request_arg="info"), resolver, plain()) == "it='GET"


def test_request_field_given_something_else_is_an_error() -> None:
    """The message says what was looked for."""
    with pytest.raises(UnkeyableValue, match="int has none of: query_params, GET, args"):
        text(QueryParamsKeyField(), view, 3)


def test_request_value_of_a_missing_attribute_is_an_error_and_of_a_missing_key_is_not() -> None:
    """A misspelt path must not make all users share one entry."""
    field = RequestValueKeyField("user.pk")
    assert text(field, view, SimpleNamespace(user=SimpleNamespace(pk=5))) == "user.pk=5"
    with pytest.raises(UnkeyableValue, match="no attribute 'pk'"):
        text(field, view, SimpleNamespace(user=SimpleNamespace()))
    assert text(RequestValueKeyField("session.x"), view, {"session": {}}) == "session.x=absent"


def test_view_kwargs_leave_out_view_and_request() -> None:
    """Only what comes from the URL is left."""

    class Viewset:
        def get(self, request: Any, pk: int, **kwargs: Any) -> None: ...

    field = ViewKwargsKeyField("*", partition=True)
    assert text(field, Viewset.get, object(), object(), 5, slug="a") == "pk=5,kwargs=dict('slug='a)"


def test_field_of_a_third_party_needs_one_method() -> None:
    """A field says what it reads and what to call it; absence is a value it may return."""

    class Tenant(KeyField):
        def parts(self, target: Target) -> Sequence[Part]:
            return [Part("tenant", extract=lambda: ABSENT), Part("page", ("page",))]

    assert text(Tenant(), get_user, 7) == "tenant=absent,page=1"


def test_field_with_nothing_to_add_is_left_out() -> None:
    """A view without arguments has no partition by them."""
    plan = compile_plan({"url": ViewKwargsKeyField(partition=True)}, view)
    assert plan.exact
    assert plan.fields == ()


@pytest.mark.parametrize("given", [Part("tenant", constant=1), ["tenant"], None])
def test_field_of_a_third_party_that_returns_no_parts_is_an_error(given: Any) -> None:
    """As early as the function is decorated, by the name of the field."""

    class Tenant(KeyField):
        def parts(self, target: Target) -> Any:
            return given

    with pytest.raises(ConfigurationError, match=r"Tenant\.parts\(\) must return a sequence"):
        compile_plan({"tenant": Tenant()}, get_user)
