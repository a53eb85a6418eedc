"""Key constructors: fields, `Meta`, inheritance, short forms and wiping."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from tiercel.errors import ConfigurationError
from tiercel.keys.constructor import (
    DefaultKeyConstructor,
    InlineKeyConstructor,
    KeyConstructor,
    KeyOptions,
    as_constructor,
)
from tiercel.keys.fields import ArgsKeyField, ConstantKeyField

A, B, C = ConstantKeyField("a", 1), ConstantKeyField("b", 2), ConstantKeyField("c", 3)


class Base(KeyConstructor):
    a = A
    b = B

    class Meta:  # noqa: D106
        namespace = "users"
        version = 3


def test_fields_stand_in_order_of_declaration() -> None:
    """Not by their names, and not all of the class is a field."""

    class Key(KeyConstructor):
        z = A
        limit = 5
        a = B

    assert list(Key.key_fields) == ["z", "a"]


def test_subclass_inherits_replaces_and_removes_fields() -> None:
    """A replaced field keeps its place; None removes it."""

    class Replaced(Base):
        a = C

    class Removed(Replaced):
        b = None  # type: ignore[assignment]
        c = B

    assert dict(Replaced.key_fields) == {"a": C, "b": B}
    assert dict(Removed.key_fields) == {"a": C, "c": B}
    assert dict(Base.key_fields) == {"a": A, "b": B}


def test_meta_options_are_inherited_one_by_one_and_can_be_reset() -> None:
    """A value that equals the default still overrides the parent's."""

    class Child(Base):
        class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]
            namespace = ""

    class Back(Base):
        class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]
            version = 1

    assert Child.key_options == KeyOptions(namespace="", version=3)
    assert Back.key_options == KeyOptions(namespace="users", version=1)


def test_several_bases_follow_the_method_resolution_order() -> None:
    """Each option and field comes from the first class that has it."""

    class Left(KeyConstructor):
        a = A

        class Meta:
            namespace = "left"

    class Right(KeyConstructor):
        a = B
        b = B

        class Meta:
            namespace = "right"
            max_key_suffix_length = 60
            hash_suffix_on_overflow = True

    class Both(Left, Right):  # type: ignore[misc]  # pyright: ignore[reportIncompatibleVariableOverride]
        pass

    assert dict(Both.key_fields) == {"a": A, "b": B}
    assert Both.key_options == KeyOptions(
        namespace="left", max_key_suffix_length=60, hash_suffix_on_overflow=True
    )


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"a": ArgsKeyField}, "Key.a: write ArgsKeyField(...)"),
        (
            {"a": 5},
            "Key.a replaces a key field: give a key field, or None to remove it, not 5",
        ),
        ({"wipe": A}, "Key.wipe: this name is taken; rename it"),
        (
            {"Meta": type("Meta", (), {"namespce": "x"})},
            "Key.Meta has no option 'namespce'; did you mean 'namespace'?",
        ),
        (
            {"Meta": type("Meta", (), {"identifier": "x"})},
            "Key.Meta has no option 'identifier'; did you mean 'key_identifier'?",
        ),
        (
            {"Meta": type("Meta", (), {"version": 1.5})},
            "version must be an integer or text, not 1.5",
        ),
        ({"Meta": type("Meta", (), {"namespace": 1})}, "namespace must be text, not 1"),
        (
            {"Meta": type("Meta", (), {"max_key_suffix_length": 0})},
            "max_key_suffix_length must be a positive integer or None, not 0",
        ),
        (
            {"Meta": type("Meta", (), {"hash_suffix_on_overflow": 1})},
            "hash_suffix_on_overflow must be True or False, not 1",
        ),
    ],
)
def test_wrong_constructor_is_an_error_where_it_is_written(
    attributes: dict[str, Any], message: str
) -> None:
    """The message names the class, the attribute and the fix."""
    with pytest.raises(ConfigurationError) as caught:
        type("Key", (Base,), attributes)
    assert str(caught.value) == message


def test_inline_constructor_has_fields_and_options() -> None:
    """It is a class like one written out, and the same call gives the same class."""
    inline = InlineKeyConstructor({"b": B, "a": A}, version="2", namespace="n")
    assert list(inline.key_fields) == ["b", "a"]
    assert inline.key_options == KeyOptions(version="2", namespace="n")
    assert inline is InlineKeyConstructor({"b": B, "a": A}, version="2", namespace="n")
    assert inline is not InlineKeyConstructor({"b": B, "a": C}, version="2", namespace="n")


@pytest.mark.parametrize(
    "make",
    [
        lambda: InlineKeyConstructor({"a": 1}),  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
        lambda: InlineKeyConstructor([A]),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lambda: InlineKeyConstructor({"a": A}, partition=True),
        lambda: as_constructor("user_id"),
        lambda: as_constructor(int),
        lambda: as_constructor({"fields": {"a": 1}}),
    ],
)
def test_wrong_short_forms_are_errors(make: Any) -> None:
    """Whatever is not a way to say how keys are built is refused."""
    with pytest.raises(ConfigurationError):
        make()


def test_as_constructor_accepts_every_short_form() -> None:
    """Class, instance, dict of fields, dict of keywords, nothing."""
    inline = InlineKeyConstructor({"a": A})
    assert as_constructor(Base) is Base
    assert as_constructor(Base()) is Base
    assert as_constructor({"a": A}) is inline
    assert as_constructor(A) is as_constructor({"key": A})
    assert as_constructor({"fields": {"a": A}}) is inline
    assert as_constructor({"fields": {"a": A}, "namespace": "n"}).key_options.namespace == "n"
    assert list(as_constructor({"fields": A}).key_fields) == ["fields"]
    assert as_constructor(None) is DefaultKeyConstructor


class Wrapper:
    """Notes what is dropped, as a cached function would do it."""

    asynchronous = False

    def __init__(self, error: Exception | None = None) -> None:
        self.dropped: list[Any] = []
        self.error = error

    def _note(self, what: Any) -> None:
        if self.error:
            raise self.error
        self.dropped.append(what)

    def delete_by_prefix(self, *args: Any, **kwargs: Any) -> None:
        self._refuse_if_asynchronous()
        self._note((args, kwargs))

    def invalidate_all(self) -> None:
        self._refuse_if_asynchronous()
        self._note("all")

    async def adelete_by_prefix(self, *args: Any, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        self._note((args, kwargs))

    async def ainvalidate_all(self) -> None:
        await asyncio.sleep(0)
        self._note("all")

    def _refuse_if_asynchronous(self) -> None:
        if self.asynchronous:
            raise TypeError("await the twin")


class AsyncWrapper(Wrapper):
    asynchronous = True


def test_wipe_reaches_all_wrappers_of_the_class_and_its_subclasses() -> None:
    """Synchronous and asynchronous ones alike, from synchronous code."""

    class Key(KeyConstructor):
        a = A

    class Child(Key):
        pass

    wrappers = [Wrapper(), AsyncWrapper(), Wrapper()]
    for owner, wrapper in zip((Key, Key, Child), wrappers, strict=True):
        owner.register_wrapper(wrapper)
    assert Key.wipe() == 3
    assert Key.wipe(1, b=2) == 3
    assert Child.wipe(3) == 1
    assert [each.dropped for each in wrappers[:2]] == [["all", ((1,), {"b": 2})]] * 2
    assert wrappers[2].dropped == ["all", ((1,), {"b": 2}), ((3,), {})]


async def test_awipe_and_wipe_work_while_an_event_loop_is_running() -> None:
    """Neither needs to know what it runs in."""

    class Key(KeyConstructor):
        a = A

    wrappers = [Wrapper(), AsyncWrapper()]
    for wrapper in wrappers:
        Key.register_wrapper(wrapper)
    assert await Key.awipe(1) == 2
    assert Key.wipe() == 2
    assert [each.dropped for each in wrappers] == [[((1,), {}), "all"]] * 2


def test_wipe_with_a_failing_wrapper_still_wipes_the_others() -> None:
    """No error leaves the work half done."""

    class Key(KeyConstructor):
        a = A

    error = ValueError("down")
    wrappers = [Wrapper(error), Wrapper(), AsyncWrapper(error)]
    for wrapper in wrappers:
        Key.register_wrapper(wrapper)
    with pytest.raises(ExceptionGroup, match=r"Key.wipe failed for 2 functions") as caught:
        Key.wipe()
    assert list(caught.value.exceptions) == [error, error]
    assert wrappers[1].dropped == ["all"]


def test_wrappers_are_held_weakly() -> None:
    """A decorated function that is gone leaves nothing behind."""

    class Key(KeyConstructor):
        a = A

    Key.register_wrapper(Wrapper())
    gc.collect()
    assert Key.wrappers() == []
