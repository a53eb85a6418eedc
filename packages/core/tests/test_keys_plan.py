"""Compiled key plans: signatures, texts, scopes, limits, and the collisions that must not be."""

from __future__ import annotations

import gc
import inspect
import linecache
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiercel.contracts.backend import Key, Scope
from tiercel.errors import ConfigurationError, UnkeyableValue
from tiercel.keys.constructor import InlineKeyConstructor, KeyConstructor
from tiercel.keys.encoding import Encoders
from tiercel.keys.fields import (
    ArgsKeyField,
    ConstantKeyField,
    ContextVarKeyField,
)
from tiercel.keys.plan import KeyPlan, compile_plan, function_name

TENANT: ContextVar[str] = ContextVar("tenant", default="acme")
SENTINEL = object()


class UserKey(KeyConstructor):
    user = ArgsKeyField("user_id", partition=True)
    version = ConstantKeyField("v", "1")
    rest = ArgsKeyField("page")

    class Meta:  # noqa: D106
        namespace = "users"


def get_user(user_id: Any, page: Any = 1) -> None:
    """The function of most tests."""


def two(a: Any, b: Any = None) -> None:
    """The function of the regression tests."""


def plan(constructor: Any = None, target: Callable[..., Any] = two, **options: Any) -> KeyPlan:
    """A plan with a short function name."""
    return compile_plan(constructor, target, **{"function": "app:f", **options})


def test_key_reads_well() -> None:
    """Text, scopes and spread, verbatim."""
    assert plan(UserKey, get_user).key(42) == Key(
        "tiercel:users:app/f:v1:user_id=42:v='1,page=1",
        (
            "tiercel:users:app/f:v1!1.14b4e132",
            "tiercel:users:app/f:v1:user_id=42!1.14b4e132",
        ),
        "user_id=42",
    )


def test_key_without_partition_has_the_scope_of_the_function_only() -> None:
    """The namespace is left out where there is none."""
    key = plan().key("bob", [1])
    assert key.text == "tiercel:app/f:v1:a='bob,b=[1]"
    assert key.scopes == (plan().scope().name,)
    assert key.spread == key.text


def test_key_depends_on_version_namespace_prefix_and_identifier() -> None:
    """Each of them keeps entries apart; an identifier replaces the function's name."""
    fields = {"a": ArgsKeyField("a")}
    shared = InlineKeyConstructor(fields, key_identifier="both", version=2)
    assert plan(shared).key(1).text == "tiercel:both:v2:a=1"
    assert plan(shared, function="other:g").key(1) == plan(shared).key(1)
    assert plan(shared, version="3-b", prefix="app").key(1).text == "app:both:v3-b:a=1"
    assert plan({"fields": fields, "namespace": "a:b"}).key(1).text == "tiercel:a%3Ab:app/f:v1:a=1"


def test_function_name_is_module_and_qualified_name() -> None:
    """Also behind decorators that say what they wrap."""
    assert function_name(inspect.Signature.bind) == "inspect:Signature.bind"
    with pytest.raises(ConfigurationError, match="name="):
        function_name(SENTINEL)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def _signatures() -> list[tuple[Callable[..., Any], list[tuple[Any, dict[str, Any]]]]]:
    def mixed(a: Any, /, b: Any, c: Any = 3, *, d: Any, e: Any = 5) -> None: ...
    def variable(a: Any, *args: Any, k: Any = 1, **kwargs: Any) -> None: ...
    def only(a: Any, b: Any = 2, /) -> None: ...
    def keywords(*, type: Any, int: Any = 2) -> None: ...  # noqa: A002
    def underscored(_s: Any, _x0: Any = 1) -> None: ...
    def nothing() -> None: ...

    return [
        (mixed, [((1, 2), {"d": 4}), ((1,), {"b": 2, "c": 3, "d": 4, "e": 5})]),
        (variable, [((1,), {}), ((1,), {"k": 1})]),
        (only, [((1,), {}), ((1, 2), {})]),
        (keywords, [((), {"type": 1}), ((), {"int": 2, "type": 1})]),
        (underscored, [((0,), {}), ((), {"_x0": 1, "_s": 0})]),
        (nothing, [((), {}), ((), {})]),
    ]


@pytest.mark.parametrize(("target", "calls"), _signatures(), ids=lambda each: str(each)[:20])
def test_key_of_the_same_call_is_the_same_however_it_is_written(
    target: Callable[..., Any], calls: list[tuple[Any, dict[str, Any]]]
) -> None:
    """By position, by keyword, with or without defaults."""
    chosen = plan(None, target)
    assert len({chosen.key(*args, **kwargs).text for args, kwargs in calls}) == 1


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1,), {}), ((1, 2, 3, 4), {}), ((1, 2), {"x": 1}), ((1, 2), {"a": 1, "d": 2})],
)
def test_key_of_a_wrong_call_raises_what_the_function_raises(args: Any, kwargs: Any) -> None:
    """The same TypeError with the same words."""
    target = _signatures()[0][0]
    with pytest.raises(TypeError) as expected:
        target(*args, **kwargs)
    with pytest.raises(TypeError) as caught:
        plan(None, target).key(*args, **kwargs)
    assert str(caught.value) == str(expected.value)


def test_positional_and_keyword_extras_all_count() -> None:
    """`*args` and `**kwargs` are part of the key, keywords in any order."""
    target = plan(None, _signatures()[1][0])
    assert target.key(1, 2).text != target.key(1, 3).text
    assert target.key(1, x=1, y=2) == target.key(1, y=2, x=1)
    assert target.key(1, (2,)).text != target.key(1, 2).text


def test_sentinel_as_default_counts_as_the_default_and_never_else() -> None:
    """A function with `=_MISSING` in its signature can be cached."""

    def search(query: Any, limit: Any = SENTINEL) -> None: ...

    target = plan(None, search)
    assert target.key("a").text.endswith("query='a,limit=default")
    assert target.key("a", "default") != target.key("a")
    with pytest.raises(UnkeyableValue):
        target.key("a", object())


def test_key_of_an_object_with_an_address_only_names_the_argument() -> None:
    """So a method without a way to tell its instances apart fails at its first call."""

    class Service:
        def get(self, pk: int) -> None: ...

    with pytest.raises(UnkeyableValue) as caught:
        plan(None, Service.get).key(Service(), 1)
    assert str(caught.value) == (
        "argument 'self' of app:f (key field DefaultKeyConstructor.arguments) cannot be part of a "
        f"key: {__name__}:{Service.__qualname__}: nothing but its address in memory identifies it; "
        "give its class a __cache_key__() method or register an encoder, or key on its attributes "
        "with ArgsKeyField('self', path=...)"
    )


def test_classes_count_by_their_name() -> None:
    """So a class method has its entries per class."""
    assert plan().key(UserKey).text == f"tiercel:app/f:v1:a=class({__name__}/UserKey),b=None"


def test_encoders_given_to_the_plan_add_types() -> None:
    """The types of integrations can be arguments."""
    encoders = Encoders({inspect.Signature: str})
    target = plan(None, two, encoders=encoders)
    assert target.key(inspect.signature(lambda: 1)).text.startswith(
        "tiercel:app/f:v1:a=inspect/Signature('%28%29)"
    )


def test_traceback_shows_the_generated_line() -> None:
    """The source of the function that builds keys is found, for as long as it lives."""
    chosen = plan()
    with pytest.raises(UnkeyableValue) as caught:
        chosen.key(SENTINEL)
    shown = "".join(traceback.format_exception(caught.value))
    assert '_s = f"tiercel:app/f:v1:a=' in shown
    filename = inspect.unwrap(chosen.key).__code__.co_filename
    assert filename in linecache.cache
    del chosen, caught
    gc.collect()
    assert filename not in linecache.cache


arguments = st.one_of(
    st.integers(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.none(),
    st.booleans(),
    st.sampled_from([10**300, 10**700, "x" * 300, "#" * 44]),
)


@settings(deadline=None)
@given(arguments, arguments, arguments)
def test_generated_key_says_what_the_fields_say(user: Any, page: Any, extra: Any) -> None:
    """The compiled function and the plain way to explain a key agree, within the limits."""

    def search(user: Any, page: Any, extra: Any) -> None: ...

    fields = {
        "u": ArgsKeyField("user", partition=True),
        "p": ArgsKeyField("page", partition=True, hash_value=True),
        "e": ArgsKeyField(["extra", "user"]),
    }
    chosen = plan(fields, search)
    key, texts = chosen.key(user, page, extra), chosen.explain(user, page, extra)
    layout = chosen.layout
    first, second = layout.partition([texts["u"]]), layout.partition([texts["u"], texts["p"]])
    suffix = key.text.removeprefix(f"{layout.head}:{second}:")
    assert suffix == texts["e"] or (suffix.startswith("#") and len(suffix) == 44)
    assert key.scopes == (layout.scope(), layout.scope(first), layout.scope(second))
    assert key.spread == first
    for name in (key.text, *key.scopes):
        assert len(name) <= 230
        assert name.isascii()
        assert name.isprintable()
        assert " " not in name
    assert chosen.partition_scope(user) == Scope(key.scopes[1], first)
    assert chosen.partition_scope(user, page=page) == Scope(key.scopes[2], first)


def test_long_parts_are_replaced_by_digests_that_no_value_can_be() -> None:
    """Function, partition and suffix each have their digest."""
    name = f"{'package.' * 30}module:function"
    chosen = plan(UserKey, get_user, function=name)
    key = chosen.key("u" * 300, "p" * 300)
    head, function, version, partition, suffix = key.text.split(":")
    assert (head, version) == ("tiercel", "v1")
    assert [len(each) for each in (function, partition, suffix)] == [44, 44, 44]
    assert key != chosen.key("u" * 300, "p" * 301)
    assert chosen.key(partition, suffix).text.count("#") == 1


def test_huge_integers_have_one_key() -> None:
    """Python's limit for printing integers does not reach the caller."""
    chosen = plan()
    assert chosen.key(10**5000) == chosen.key(10**5000)
    assert chosen.key(10**5000) != chosen.key(10**5000 + 1)


def test_suffix_limit_of_meta_is_in_force_only_with_hashing() -> None:
    """Both options together shorten what would still fit."""
    fields = {"a": ArgsKeyField("a")}
    hashed = plan({"fields": fields, "max_key_suffix_length": 10, "hash_suffix_on_overflow": True})
    assert hashed.key("x" * 6).text.endswith(":a='xxxxxx")
    assert ":#" in hashed.key("x" * 9).text
    assert ":#" not in plan({"fields": fields, "max_key_suffix_length": 10}).key("x" * 9).text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prefix": "a b"}, "the prefix of a cache must be 1 to 32 letters"),
        ({"prefix": ""}, "the prefix of a cache must be 1 to 32 letters"),
        ({"version": "x" * 40}, "a version must be an integer or short text"),
        ({"version": True}, "a version must be an integer or short text"),
    ],
)
def test_prefix_or_version_that_does_not_fit_is_an_error(
    options: dict[str, Any], message: str
) -> None:
    """Both are part of every key."""
    with pytest.raises(ConfigurationError, match=message):
        plan(**options)


def test_more_than_eight_partition_fields_are_an_error() -> None:
    """Every entry would depend on too many stamps."""
    fields = {f"f{n}": ConstantKeyField(f"c{n}", n, partition=True) for n in range(9)}
    with pytest.raises(ConfigurationError, match="has 9 partition fields, but at most 8"):
        plan(fields)
    del fields["f8"]
    assert len(plan(fields).key(1).scopes) == 9


def test_target_without_signature_is_an_error() -> None:
    """Some built-in functions cannot be asked for theirs."""
    with pytest.raises(ConfigurationError, match="has no signature"):
        plan(None, getattr)


@pytest.mark.parametrize(
    ("fields", "fast", "partition"),
    [
        ({"all": ArgsKeyField()}, ("a", "b"), ()),
        ({"b": ArgsKeyField("b", partition=True), "a": ArgsKeyField("a")}, ("b", "a"), ("b",)),
        ({"c": ConstantKeyField("c", 1), "a": ArgsKeyField("a", hash_value=True)}, ("a",), ()),
        ({"a": ArgsKeyField("a", path="pk", partition=True)}, None, None),
        (
            {"a": ArgsKeyField("a", normalizer=str), "b": ArgsKeyField("b", partition=True)},
            None,
            ("b",),
        ),
        ({"t": ContextVarKeyField(TENANT)}, None, ()),
    ],
)
def test_fast_arguments_are_those_that_go_into_the_key_as_they_are(
    fields: Any, fast: Any, partition: Any
) -> None:
    """The memory tier may use them instead of the key."""
    chosen = plan(fields)
    assert (chosen.fast_arguments, chosen.fast_partition) == (fast, partition)


def test_fast_arguments_do_not_include_variable_ones() -> None:
    """A tuple or dict of arguments has no exact type to compare."""
    assert plan(None, _signatures()[1][0]).fast_arguments is None


def test_template_has_names_instead_of_values() -> None:
    """So it may be shown in traces."""
    assert plan(UserKey, get_user).readable_template == "users:app/f:v1:{user_id}:{v},{page}"
    assert plan().readable_template == "app/f:v1:{a+b}"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((1,), ("1",)),
        ((True,), ("True",)),
        ((1,), (True,)),
        ((None,), ("None",)),
        (([1, 2],), ((1, 2),)),
        (([1, 2],), ("1,2",)),
        ((0.0,), (-0.0,)),
        ((1,), (1.0,)),
        ((Decimal("1.0"),), (Decimal("1.00"),)),
        (("x::b:y", "z"), ("x", "y::b:z")),
        (("x,b='y", "z"), ("x", "y,b='z")),
        (({"a": {"b": 1}},), ({"a": "b:1"},)),
        (("x",), ("x::",)),
        (("x", ""), ("x,b='", "")),
    ],
)
@pytest.mark.parametrize("partition", [False, True])
def test_different_calls_never_share_a_key(left: Any, right: Any, partition: bool) -> None:
    """Neither types nor separators are lost on the way into a key."""
    chosen = plan({"a": ArgsKeyField("a", partition=partition), "b": ArgsKeyField("b")})
    assert chosen.key(*left).text != chosen.key(*right).text


def test_namespaces_functions_and_versions_never_run_into_each_other() -> None:
    """Also where the namespace is left out, and where names look like versions."""
    fields = {"a": ArgsKeyField("a")}
    heads = [
        plan({"fields": fields, "namespace": namespace}, function=function, version=version).key(1)
        for namespace in ("", "v1", "v2", "a", "a:b", "v1:v1", "#")
        for function in ("v1", "v2", "a", "a:b", "a/b", "a.b", "v1:v1", "%76")
        for version in (1, 2, "1:v1", "1/v1")
    ]
    assert len({key.text for key in heads}) == len(heads)
    assert len({key.scopes for key in heads}) == len(heads)


def test_partition_follows_declaration_and_not_names() -> None:
    """Which field leads is what the class says."""
    fields = {
        "z": ArgsKeyField("b", partition=True),
        "a": ArgsKeyField("a", partition=True),
    }
    assert plan(fields).key(1, 2).text.startswith("tiercel:app/f:v1:b=2:a=1:")


@pytest.mark.parametrize("value", ["*", "?", "[x]", "a*", "user:1", "user:1:"])
def test_awkward_partition_values_have_scopes_of_their_own(value: str) -> None:
    """Nothing in a value is ever a pattern; it stands in the key escaped."""
    chosen = plan(UserKey, get_user)
    scopes = {chosen.partition_scope(each).name for each in (value, "a", "user", "x", "1")}
    assert len(scopes) == 5
    assert chosen.partition_scope(value).name == chosen.key(value, 9).scopes[1]
