"""What a rule maps to the arguments of a function: only what can say entries of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from packages.core.tests.ruled import Order, decorate, listing, refusal
from tiercel import ArgsKeyField, ConstantKeyField

USER = {"user": ArgsKeyField("user_id", partition=True)}
UNCOUNTED = "maps {0} to 'id', but no key field of app:f takes the argument {0}, so it says none"


class Shop:
    """Has methods whose object is in the key by itself, by an attribute, or not at all."""

    def listing(self, user_id: int) -> str:
        return ""

    @classmethod
    def opened(cls, user_id: int) -> str:
        return ""


def by_row(order: Order, page: int = 1) -> str:
    return ""


def view(request: object = None, **kwargs: Any) -> str:
    return ""


@pytest.mark.parametrize(
    ("function", "key", "mapping", "name"),
    [
        (Shop.listing, {"user": ArgsKeyField("user_id")}, {"self": "id"}, "self"),
        (Shop.listing, USER, {"user_id": "owner", "self": "id"}, "self"),
        (listing, {"user": ArgsKeyField("user_id")}, {"user_id": "owner", "page": "id"}, "page"),
        (listing, {"shop": ConstantKeyField("shop", 1)}, {"page": "id"}, "page"),
        (view, {"pk": ArgsKeyField("pk")}, {"pk": "owner", "slug": "id"}, "slug"),
    ],
)
def test_decoration_when_a_mapped_argument_is_no_part_of_the_key_then_refused(
    function: Callable[..., Any], key: Any, mapping: dict[str, str], name: str
) -> None:
    """It could only keep entries from being dropped, as by a None."""
    said = refusal(lambda: decorate(function, key=key, field_mapping=mapping))
    assert UNCOUNTED.format(name) in said
    assert f"add ArgsKeyField({name!r}, partition=True) to the key, or use field_mapping=" in said


@pytest.mark.parametrize(
    "field", [ArgsKeyField("slug"), ArgsKeyField("slug", path="text"), ArgsKeyField("kwargs")]
)
def test_decoration_when_the_key_reads_a_name_of_the_keywords_then_it_may_be_mapped(
    field: ArgsKeyField,
) -> None:
    """By its name, something of it, or with all others."""
    key = {"pk": ArgsKeyField("pk", partition=True), "slug": field}
    decorate(view, key=key, field_mapping={"pk": "id", "slug": "status"})


def test_decoration_when_only_a_rewarming_call_needs_an_argument_then_it_may_be_mapped() -> None:
    """Else that call could not be made."""
    key, mapping = {"id": ArgsKeyField("user_id")}, {"user_id": "owner", "page": "id"}
    decorate(key=key, field_mapping=mapping, rewarm=True)
    assert UNCOUNTED.format("page") in refusal(lambda: decorate(key=key, field_mapping=mapping))


@pytest.mark.parametrize(
    ("function", "name"),
    [(Shop.listing, "self"), (vars(Shop)["opened"].__func__, "cls"), (by_row, "order")],
)
@pytest.mark.parametrize("field", [{}, {"path": "id"}])
def test_decoration_when_an_object_is_mapped_to_a_plain_value_then_refused(
    function: Callable[..., Any], name: str, field: dict[str, str]
) -> None:
    """The key of an object is never that of a number, so such a rule would drop nothing."""
    key = {"it": ArgsKeyField(name, partition=True, **field)}  # type: ignore[arg-type]
    said = refusal(lambda: decorate(function, key=key, field_mapping={name: "id"}))
    assert f"maps {name} to 'id', which is a plain value, but the key of app:f is made of" in said
    assert f"read what identifies it with ArgsKeyField({name!r}, normalizer=...)" in said


@pytest.mark.parametrize(("path", "name"), [("id", "it"), ("customer", "self")])
def test_decoration_when_a_mapped_value_can_be_the_object_then_accepted(
    path: str, name: str
) -> None:
    """Where the key takes both, or the row has an object there."""
    field = ArgsKeyField("self", normalizer=lambda it: getattr(it, "id", it), partition=True)
    key = {"it": field if name == "it" else ArgsKeyField("self", partition=True)}
    decorate(Shop.listing, key=key, field_mapping={"self": path})


def test_decoration_when_a_rewarming_call_would_get_a_number_as_self_then_refused() -> None:
    """The method could do nothing with it, although the key can."""
    key = {"it": ArgsKeyField("self", normalizer=lambda it: getattr(it, "id", it))}

    def refused() -> Any:
        return decorate(Shop.listing, key=key, field_mapping=mapping, rewarm=True)

    mapping = {"self": "id", "user_id": "owner"}
    assert "rewarm=True would call app:f with it, which takes an object" in refusal(refused)
