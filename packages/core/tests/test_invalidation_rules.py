"""What is wrong with a rule is an error when the function is decorated, and says what to do."""

from __future__ import annotations

import re
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from packages.core.tests.ruled import (
    OWNED,
    Order,
    Surroundings,
    decorate,
    half_imported,
    listing,
    refusal,
)
from tiercel import (
    ArgsKeyField,
    Cache,
    ConfigurationError,
    ContextVarKeyField,
    InvalidationRule,
    cache_result,
)
from tiercel.configuration import use_caches
from tiercel.spi import rules as all_rules
from tiercel.testing import SimulatedBackend, VirtualClock

LANGUAGE = ContextVar("language", default="en")


WRONG_OPTIONS = [
    ({"field_mapping": "user_id"}, "field_mapping='user_id' must be a mapping of arguments to"),
    ({"field_mapping": {"user_id": 3}}, "must be a mapping of arguments to dotted paths"),
    ({"watch_fields": "status"}, "watch_fields='status' must be a sequence of dotted paths"),
    ({"invalidate_when": ["status"]}, "must be a mapping of dotted paths to values"),
    ({"trigger_on_create": "yes"}, "trigger_on_create='yes' must be True or False"),
    ({"rewarm": 1}, "rewarm=1 must be True or False"),
    ({"batch": None}, "batch=None must be True or False"),
    ({"raise_exception": "no"}, "raise_exception='no' must be True, False or None"),
    ({"require_args": "user_id"}, "must be True, False or argument names"),
    ({"require_args": 1}, "must be True, False or argument names"),
    ({"name": ""}, "name='' must be a text"),
    ({"dispatcher": object}, "must be a text"),
    ({"dispatcher_config": ["queue"]}, "must be a mapping of options to values"),
    ({"invalidator": 3}, "invalidator=3 must be a function or its dotted name"),
    ({"invalidator": "drop"}, "invalidator='drop' must be a function or its dotted name"),
    (
        {"invalidator": print, "field_mapping": {"user_id": "owner"}},
        "give invalidator or field_mapping, not both",
    ),
    ({"invalidator": print, "rewarm": True}, "give invalidator or rewarm, not both"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS)
def test_rule_when_an_option_is_wrong_then_says_which(
    options: dict[str, Any], message: str
) -> None:
    """Also without a function, and the message names the model and the value."""
    said = refusal(lambda: InvalidationRule(Order, **options))
    assert said.startswith("InvalidationRule on Order: ")
    assert message in said


def test_rule_when_an_option_is_unknown_or_positional_then_refused() -> None:
    """A misspelt option never passes in silence."""
    with pytest.raises(TypeError, match="feild_mapping"):
        InvalidationRule(Order, feild_mapping={})  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        InvalidationRule(Order, {"user_id": "owner"})  # type: ignore[call-arg]


def test_rule_when_made_then_never_changes() -> None:
    """Nobody can change a rule that functions are bound to, nor its options from outside."""
    mapping, watched = {"user_id": "owner"}, ["status"]
    rule = InvalidationRule(Order, field_mapping=mapping, watch_fields=watched)
    mapping["page"] = "id"
    watched.append("id")
    assert rule.field_mapping == {"user_id": "owner"}
    assert rule.watch_fields == ("status",)
    with pytest.raises(AttributeError):
        rule.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("model", [Order(), 42, None, "", listing, [Order]])
def test_rule_when_its_model_is_no_model_then_refused(model: Any) -> None:
    """Only a class, or a text, can be listened to."""
    said = refusal(lambda: decorate(model=model, field_mapping={"user_id": "owner"}))
    assert "is no model: give a class, or a text" in said


WRONG_FITS = [
    (
        {"field_mapping": {"usr_id": "owner"}},
        "of app:f on Order names the argument 'usr_id', which app:f does not have; did you mean",
    ),
    (
        {"field_mapping": {"user_id": "ownr"}},
        "on Order: path 'ownr': Order has no field 'ownr'; did you mean 'owner'?",
    ),
    (
        {"field_mapping": {"user_id": "customer.nme"}},
        "path 'customer.nme': Customer has no field 'nme'; did you mean 'name'?",
    ),
    (
        {"field_mapping": {"user_id": "owner"}, "watch_fields": ["stat"]},
        "path 'stat': Order has no field 'stat'; did you mean 'status'?",
    ),
    (
        {"field_mapping": {"user_id": "owner"}, "invalidate_when": {"!stat": 1}},
        "path 'stat': Order has no field 'stat'",
    ),
    (
        {"field_mapping": {"user_id": "owner"}, "require_args": ["page"]},
        "require_args names 'page', which field_mapping does not map; it maps user_id",
    ),
    ({}, "says neither field_mapping nor invalidator"),
    ({"field_mapping": {}}, "use field_mapping=InvalidationRule.ALL to drop everything"),
    (
        {"field_mapping": {"page": "id"}},
        "maps page, which says no partition of app:f: map user_id, which its first partition field",
    ),
    (
        {"field_mapping": {"user_id": "owner"}, "dispatcher_config": {"queue": "x"}},
        "dispatcher_config= needs dispatcher=",
    ),
    (
        {"field_mapping": {"user_id": "owner"}, "dispatcher": "threadpool",
         "dispatcher_config": {"max_worker": 1}},
        "dispatcher 'threadpool' has no option 'max_worker'",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), WRONG_FITS)
def test_decoration_when_a_rule_does_not_fit_then_refused(
    options: dict[str, Any], message: str
) -> None:
    """Arguments, paths and options are looked at before anything is called."""
    assert message in refusal(lambda: decorate(**options))


def test_decoration_when_a_dispatcher_is_unknown_then_says_what_there_is() -> None:
    """With what is installed, as everywhere."""
    with pytest.raises(LookupError, match="did you mean 'threadpool'"):
        decorate(field_mapping={"user_id": "owner"}, dispatcher="thredpool")


def test_decoration_when_only_a_later_partition_is_said_then_tells_how_to_reorder() -> None:
    """A rule that cannot say the leading partition would drop nothing, or everything."""
    key = {
        "tenant": ArgsKeyField("tenant", partition=True),
        "user": ArgsKeyField("user", partition=True),
    }

    def page(tenant: str, user: int) -> str:
        return ""

    said = refusal(lambda: decorate(page, key=key, field_mapping={"user": "owner"}))
    assert "which says 'user', but partitions of app:f are told apart by 'tenant' first" in said
    assert "declare 'user' before 'tenant' in the key constructor, map tenant too, or" in said


def test_decoration_when_nothing_is_a_partition_then_a_rule_must_say_the_whole_call() -> None:
    """Entries of other pages would be left behind, so it is refused."""
    said = refusal(lambda: decorate(key=None, field_mapping={"user_id": "owner"}))
    assert (
        "maps user_id, but the key of app:f also depends on page, and it has no partition" in said
    )
    assert "partition=True, or use field_mapping=InvalidationRule.ALL" in said


def test_decoration_when_the_key_depends_on_surroundings_then_no_mapping_says_an_entry() -> None:
    """The entry of one language only would be dropped."""
    key = {"id": ArgsKeyField("user_id"), "language": ContextVarKeyField(LANGUAGE)}

    def name(user_id: int) -> str:
        return ""

    said = refusal(lambda: decorate(name, key=key, field_mapping={"user_id": "owner"}))
    assert "also depends on the key field language" in said


def test_decoration_when_a_whole_call_lacks_an_argument_then_it_cannot_be_rewarmed() -> None:
    """Nobody could call the function again."""

    def name(user_id: int, request: object) -> str:
        return ""

    key = {"id": ArgsKeyField("user_id")}
    decorate(name, key=key, field_mapping={"user_id": "owner"})
    said = refusal(lambda: decorate(name, key=key, field_mapping={"user_id": "owner"}, rewarm=True))
    assert "rewarm=True calls the function, which needs more arguments than user_id" in said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "app:f: invalidates_on=3 must be rules"),
        ("orders", "app:f: invalidates_on='orders' must be rules"),
        ([Order], "which is no InvalidationRule"),
        (
            [
                InvalidationRule(Order, field_mapping={"user_id": "owner"}, name="a"),
                InvalidationRule(Order, field_mapping={"user_id": "id"}, name="a"),
            ],
            "app:f has several rules called 'a'",
        ),
    ],
)
def test_decoration_when_invalidates_on_holds_no_rules_then_refused(
    given: Any, message: str
) -> None:
    """So is a second rule of the same name: a message could not say which it means."""
    said = refusal(lambda: Cache().cached(key=OWNED, name="app:f", invalidates_on=given)(listing))
    assert message in said


def test_decoration_when_refused_then_no_rule_is_left() -> None:
    """A function that does not exist is never dropped."""
    cache = Cache()
    rules = [InvalidationRule("left.over", field_mapping={"user_id": "id"})]
    refusal(lambda: cache.cached(key=OWNED, ttl=-1, invalidates_on=rules)(listing))
    with pytest.raises(ConfigurationError):
        cache.cached(key=OWNED, tags="text", invalidates_on=rules)(listing)
    assert "left.over" not in {each.model for each in all_rules()}


# Invalidators


def needs_more(wrapper: Any, instance: Any, why: str) -> None:
    """Wants what nobody gives it."""


@pytest.mark.parametrize(
    ("invalidator", "message"),
    [
        ("tiercel.cached.CachedFunction", "cannot be called"),
        (needs_more, "cannot be called: missing a required argument: 'why'"),
        (lambda: None, "it gets (wrapper, instance) and by name what it takes of signal_type"),
        ("nowhere.to.be_found", "there is no such module"),
        (f"{__name__}.missing", "cannot be imported: AttributeError"),
        (f"{__name__}.OWNED", "is no function, but"),
    ],
)
def test_decoration_when_an_invalidator_cannot_be_called_then_refused(
    invalidator: Any, message: str
) -> None:
    """A dotted name is looked up at once where that imports nothing."""
    assert message in refusal(lambda: decorate(invalidator=invalidator))


def test_decoration_when_an_invalidator_is_in_a_module_being_imported_then_waits() -> None:
    """The module of the invalidator may be the very one that decorates: no circle is made."""
    with half_imported("tests_half_imported"):
        decorate(invalidator="tests_half_imported.defined_later")


@pytest.mark.parametrize(
    "invalidator",
    [
        lambda wrapper, instance: None,
        lambda wrapper, instance, update_fields: None,
        lambda wrapper, instance, **extras: None,
        partial(lambda why, wrapper, instance: None, "because"),
        "os.path.join",
    ],
)
def test_decoration_when_an_invalidator_can_be_called_then_accepted(invalidator: Any) -> None:
    """Functions of any kind, with any part of the extras."""
    decorate(invalidator=invalidator)


# Dispatchers that cannot reach the entries


MAPPED = InvalidationRule(Order, field_mapping={"user_id": "owner"}, dispatcher="desk")


def test_decoration_when_a_queue_cannot_reach_the_memory_of_this_process_then_refused(
    around: Surroundings,
) -> None:
    """A worker would drop entries in its own memory only."""
    said = refusal(lambda: Cache().cached(key=OWNED, name="app:f", invalidates_on=MAPPED)(listing))
    assert said.startswith(
        "rule '#0' of app:f: dispatcher 'desk' performs tasks in other processes"
    )
    store = SimulatedBackend(VirtualClock())
    shared = Cache(backend=store)
    said = refusal(
        lambda: shared.cached(key=OWNED, tiers="memory", name="f", invalidates_on=MAPPED)(listing)
    )
    assert "with tiers='memory' nothing is shared" in said
    shared.cached(key=OWNED, invalidates_on=MAPPED)(listing)


def test_binding_when_the_cache_turns_out_to_share_nothing_then_refused(
    around: Surroundings,
) -> None:
    """Where the cache is configured later, the first use says so."""
    function = cache_result(key_constructor=OWNED, name="app:late", invalidates_on=[MAPPED])(
        listing
    )
    former = use_caches({"default": Cache()})
    try:
        with pytest.raises(ConfigurationError, match="cache 'default' has no shared tier"):
            function(1)
    finally:
        use_caches(former)


@pytest.mark.parametrize("config", [{"queue": ""}, {"priority": "high"}, {"max_retries": -1}])
def test_decoration_when_the_value_of_an_option_is_wrong_then_refused(
    around: Surroundings, config: dict[str, Any]
) -> None:
    """Not first when a row is saved."""
    rule = InvalidationRule(
        Order, field_mapping={"user_id": "owner"}, dispatcher="desk", dispatcher_config=config
    )
    cache = Cache(backend=SimulatedBackend(VirtualClock()))
    said = refusal(lambda: cache.cached(key=OWNED, invalidates_on=[rule])(listing))
    assert re.search(next(iter(config)), said)
