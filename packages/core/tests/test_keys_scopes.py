"""Which entries are dropped together: partitions, their scopes, and the names of scopes."""

from __future__ import annotations

from typing import Any

import pytest

from packages.core.tests.test_keys_plan import TENANT, UserKey, get_user, plan
from tiercel.contracts.backend import Scope
from tiercel.keys.constructor import KeyConstructor
from tiercel.keys.fields import (
    ArgsKeyField,
    ContextVarKeyField,
    ViewKwargsKeyField,
)


class TwoLevels(KeyConstructor):
    tenant = ContextVarKeyField(TENANT, partition=True)
    user = ArgsKeyField("user_id", partition=True)
    page = ArgsKeyField("page", partition=True)


def test_partition_scope_is_the_deepest_that_the_arguments_say() -> None:
    """What stands outside of the arguments counts as it is now; defaults do not count."""
    chosen = plan(TwoLevels, get_user)
    key = chosen.key(42, 7)
    assert chosen.partition_scope(user_id=42).name == key.scopes[2]
    assert chosen.partition_scope(42, page=7).name == key.scopes[3]
    assert chosen.partition_scope() == chosen.scope() == Scope(key.scopes[0])
    assert chosen.partition_scope(42).spread == key.spread == "tenant='acme"


def test_partition_scope_of_arguments_that_say_none_is_an_error() -> None:
    """Nothing is dropped by accident: neither all of the function nor nothing at all."""
    chosen = plan(UserKey, get_user)
    with pytest.raises(TypeError) as caught:
        chosen.partition_scope(page=3)
    assert str(caught.value) == (
        "page of app:f says no partition to drop; its partition fields are user (user_id): "
        "pass user_id="
    )
    with pytest.raises(TypeError, match="page of app:f says no partition"):
        plan(TwoLevels, get_user).partition_scope(page=3)
    with pytest.raises(TypeError, match="app:f: got an unexpected keyword argument 'usr'"):
        chosen.partition_scope(usr=3)


def test_partition_scope_without_partition_says_so() -> None:
    """The caller can tell beforehand, and drop the exact entry."""
    assert plan().exact
    assert not plan(UserKey, get_user).exact
    with pytest.raises(TypeError, match="app:f has no partition, so a cannot drop some"):
        plan().partition_scope(1)


def test_partition_scope_over_keyword_arguments_of_a_view() -> None:
    """A name in **kwargs says a partition only if it is given."""

    class View:
        def get(self, request: Any, *args: Any, **kwargs: Any) -> None: ...

    every = plan({"url": ViewKwargsKeyField(partition=True)}, View.get)
    assert every.partition_scope(pk=5).name == every.key(None, None, pk=5).scopes[1]
    named = plan({"pk": ArgsKeyField("pk", partition=True)}, View.get)
    assert named.partition_scope(pk=5).name == named.key(None, None, pk=5).scopes[1]
    with pytest.raises(TypeError, match="says no partition"):
        named.partition_scope(slug="a")


def test_scopes_differ_when_the_list_of_partition_fields_does() -> None:
    """A deployment with another partition does not share stamps with the old one."""
    one = plan({"a": ArgsKeyField("a", partition=True)})
    other = plan({"b": ArgsKeyField("b", partition=True)})
    both = plan({"a": ArgsKeyField("a", partition=True), "b": ArgsKeyField("b", partition=True)})
    names = [each.scope().name for each in (one, other, both, plan())]
    assert len(set(names)) == 4


def test_names_of_scopes_are_never_keys() -> None:
    """No value can bring the mark of a scope into a key."""
    assert "!" not in plan(UserKey, get_user).key("!1.14b4e132", "!").text
