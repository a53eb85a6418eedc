"""Changes that other code reports: of classes of any kind, and of texts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import attrs
import msgspec
import pydantic
import pytest

from packages.core.tests.stages import Stage
from tiercel import ArgsKeyField, Cache, ConfigurationError, InvalidationRule, achanged, changed
from tiercel.invalidation.sources import ClassSource, TextSource, source_of
from tiercel.plugins import Registry, hookimpl, set_default_registry
from tiercel.spi import SPI_VERSION, ChangeKind, Integration, IntegrationSpec, Source

pytestmark = pytest.mark.usefixtures("own_rules")

USER = {"user": ArgsKeyField("user_id", partition=True)}


@dataclass(frozen=True)
class Data:
    id: int
    owner: int


@attrs.frozen
class Attrs:
    id: int
    owner: int


@attrs.define
class Slotted:
    owner: int = attrs.field()
    id: int = attrs.field(default=1)


class Struct(msgspec.Struct, frozen=True):
    id: int
    owner: int


class Model(pydantic.BaseModel):
    id: int
    owner: int


class Pair(NamedTuple):
    id: int
    owner: int


class Annotated:
    id: int
    owner: int
    _private: int = 3

    def __init__(self, **values: int) -> None:
        vars(self).update(values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Annotated) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def method(self) -> int:
        return self.owner

    @property
    def twice(self) -> int:
        return self.owner * 2


class Plain:
    def __init__(self, **values: int) -> None:
        vars(self).update(values)


class Row(TypedDict):
    id: int
    owner: int


KINDS = [Data, Attrs, Slotted, Struct, Model, Pair, Annotated]


def listing(stage: Stage, model: Any, path: str = "owner") -> Any:
    """Return a function that a rule on this model drops by user, with two entries."""
    rules = [InvalidationRule(model, field_mapping={"user_id": path})]
    function = stage.cached(key=USER, invalidates_on=rules)(lambda user_id: user_id)
    function(1)
    function(2)
    return function


def live(function: Any) -> list[int]:
    """Return the users whose entries are there."""
    return [user for user in (1, 2) if function.get_cached_metadata(user) is not None]


@pytest.mark.parametrize("model", [*KINDS, Plain])
def test_changed_when_a_class_is_the_source_then_attributes_of_rows_are_read(
    memory: Stage, model: Any
) -> None:
    """Whatever made the class; rows may be mappings, too."""
    function = listing(memory, model)
    memory.cache.changed(model, new=model(id=1, owner=1))
    assert live(function) == [2]
    memory.cache.changed(model, new={"id": 1, "owner": 2})
    assert live(function) == []


def test_changed_when_a_typed_dict_is_the_source_then_its_keys_are_read(memory: Stage) -> None:
    """A class of mappings."""
    function = listing(memory, Row)
    row: Row = {"id": 1, "owner": 1}
    memory.cache.changed(Row, old=row)
    assert live(function) == [2]
    with pytest.raises(ConfigurationError, match="Row has no field 'onwer'; did you mean 'owner'"):
        listing(memory, Row, "onwer")


@pytest.mark.parametrize("model", KINDS)
def test_path_when_misspelt_and_the_class_declares_its_fields_then_refused(
    memory: Stage, model: Any
) -> None:
    """At decoration; what has none to compare with is accepted."""
    name = model.__name__
    with pytest.raises(ConfigurationError, match=f"{name} has no field 'onwer'; did you mean"):
        listing(memory, model, "onwer")
    listing(memory, Plain, "onwer")


@pytest.mark.parametrize("path", ["method", "_private", "twice.x.y"])
def test_path_when_it_names_what_is_no_field_then_only_values_are_accepted(
    memory: Stage, path: str
) -> None:
    """A method would be part of keys by its address; what a property returns is not known."""
    if path.startswith("twice"):
        listing(memory, Annotated, path)
        return
    with pytest.raises(ConfigurationError, match=f"Annotated has no field '{path}'"):
        listing(memory, Annotated, path)


@pytest.mark.parametrize("model", [*KINDS, Plain])
def test_row_when_taken_apart_and_rebuilt_then_it_is_an_equal_one_of_the_class(model: Any) -> None:
    """As a worker gets it."""
    source = ClassSource(model)
    row = model(id=7, owner=8)
    rebuilt = source.rebuild(source.snapshot(row))
    assert type(rebuilt) is model
    assert (rebuilt.id, rebuilt.owner) == (7, 8)
    assert rebuilt is not row
    if model is not Plain:
        assert rebuilt == row
    assert source.rebuild(source.snapshot({"id": 1})) == {"id": 1}


def test_row_when_it_is_of_a_subclass_then_it_is_rebuilt_as_one_of_the_source() -> None:
    """With everything that it holds, public names only."""

    class Child(Plain):
        def __init__(self) -> None:
            super().__init__(id=1, owner=2)
            self.extra, self._hidden = 3, 4

    source = ClassSource(Plain)
    rebuilt = source.rebuild(source.snapshot(Child()))
    assert type(rebuilt) is Plain
    assert vars(rebuilt) == {"id": 1, "owner": 2, "extra": 3}


def test_text_when_it_is_the_source_then_rows_are_mappings_or_objects(memory: Stage) -> None:
    """Another ORM needs no more than to say what has changed."""
    function = listing(memory, "orders", "customer.id")
    memory.cache.changed("orders", new={"customer": {"id": 1}})
    assert live(function) == [2]
    memory.cache.changed("order", new={"customer": {"id": 2}})
    assert live(function) == [2]
    memory.cache.changed("orders", old={"customer": Data(id=2, owner=0)})
    assert live(function) == []
    source = TextSource("orders")
    assert source.rebuild(source.snapshot(Plain(id=1, owner=2))) == {"id": 1, "owner": 2}


def test_changed_when_a_class_is_named_by_its_label_then_its_rules_hear_of_it(
    memory: Stage,
) -> None:
    """Other code need not import the class to report a change of it."""
    function = listing(memory, Data)
    label = f"{__name__}:Data"
    memory.cache.changed(label, new={"owner": 1})
    assert live(function) == [2]


async def test_changed_when_called_in_any_way_then_acts_at_once(memory: Stage) -> None:
    """The function, its twin, and those of a cache."""
    function = listing(memory, "orders")
    changed("orders", new={"owner": 1})
    assert live(function) == [2]
    await achanged("orders", old={"owner": 2})
    assert live(function) == []
    function(1)
    function(2)
    await memory.cache.achanged("orders", new={"owner": 1})
    memory.cache.changed("orders", old={"owner": 2})
    assert live(function) == []


def test_changed_when_nothing_is_known_of_the_row_then_everything_is_dropped(
    memory: Stage,
) -> None:
    """Any row may have changed."""
    function = listing(memory, "orders")
    memory.cache.changed("orders")
    assert live(function) == []


@pytest.mark.parametrize(
    ("options", "fires"),
    [
        ({"new": {"owner": 1}}, True),
        ({"old": {"owner": 1}}, True),
        ({"new": {"owner": 1}, "kind": "created"}, False),
        ({"new": {"owner": 1}, "kind": ChangeKind.UPDATED}, True),
        ({"old": {"owner": 1}, "new": {"owner": 1}, "kind": "deleted"}, True),
        ({"kind": "created"}, False),
    ],
)
def test_changed_when_the_kind_is_said_then_new_rows_do_not_count(
    memory: Stage, options: Any, fires: bool
) -> None:
    """Without it a row that is there was updated, and one that is not was deleted."""
    function = listing(memory, "orders")
    memory.cache.changed("orders", **options)
    assert (1 not in live(function)) is fires


def test_changed_when_fields_are_said_then_only_those_can_have_changed(memory: Stage) -> None:
    """Watched ones or not."""
    rules = [InvalidationRule("orders", field_mapping={"user_id": "owner"}, watch_fields=["total"])]
    function = memory.cached(key=USER, invalidates_on=rules)(lambda user_id: user_id)
    function(1)
    memory.cache.changed("orders", new={"owner": 1}, fields=["note"])
    assert function.get_cached_metadata(1) is not None
    memory.cache.changed("orders", new={"owner": 1}, fields=["note", "total"])
    assert function.get_cached_metadata(1) is None


def test_changed_when_told_wrongly_then_says_so() -> None:
    """A call in code is checked as it is made."""
    with pytest.raises(ConfigurationError, match="kind='saved' of a change must be one of created"):
        changed("orders", new={}, kind="saved")
    with pytest.raises(ConfigurationError, match="fields='total' must be several names"):
        Cache().changed("orders", new={}, fields="total")
    with pytest.raises(ConfigurationError, match="kind='x'"):
        asyncio.run(achanged("orders", kind="x"))


# Integrations come first


class Table:
    """What a framework knows as a model; not a class."""

    name = "shop.Order"


class TableSource(Source):
    """A framework's."""

    def __init__(self, model: Table) -> None:
        self.model, self.label = model, model.name
        self.watched: set[str] = set()

    def covers(self, changed: Any) -> bool:
        return changed is self.model

    def check(self, path: str) -> None:
        if path != "owner":
            raise ConfigurationError(f"{self.label} has no column {path!r}")

    def watch(self, paths: Any) -> None:
        self.watched |= set(paths)

    def value(self, row: Any, path: str) -> Any:
        return row[0]

    def snapshot(self, row: Any) -> Mapping[str, Any]:
        return {"row": row}

    def rebuild(self, snapshot: Mapping[str, Any]) -> Any:
        return snapshot["row"]


def test_model_when_an_integration_knows_it_then_its_source_is_asked() -> None:
    """For checks, for values, and which old ones will be wanted."""
    table, sources = Table(), list[TableSource]()

    class Framework(Integration):
        name = "framework"

        def source(self, model: object) -> Source | None:
            if not isinstance(model, Table):
                return None
            sources.append(TableSource(model))
            return sources[-1]

    class Plugin:
        @hookimpl
        def tiercel_integrations(self) -> list[IntegrationSpec]:
            return [IntegrationSpec("framework", Framework, SPI_VERSION)]

    registry = Registry()
    registry.register(Plugin())
    set_default_registry(registry)
    try:
        cache = Cache()
        rule = InvalidationRule(table, field_mapping={"user_id": "owner"})
        function: Any = cache.cached(key=USER, invalidates_on=rule)(lambda user_id: user_id)
        function(1)
        function(2)
        cache.changed(table, new=(1,))
        assert live(function) == [2]
        assert sources[0].watched == {"owner"}
        wrong = InvalidationRule(table, field_mapping={"user_id": "ownr"})
        with pytest.raises(ConfigurationError, match=r"path 'ownr': shop\.Order has no column"):
            cache.cached(key=USER, invalidates_on=wrong)(lambda user_id: user_id)
        assert isinstance(source_of(Data), ClassSource)
    finally:
        set_default_registry(None)
