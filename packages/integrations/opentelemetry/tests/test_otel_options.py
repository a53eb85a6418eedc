"""What can be chosen: names, keys, Sentry's attributes, variables; and what is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import baggage, context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from packages.integrations.opentelemetry.tests.watching import Telemetry, known
from tiercel import Cache
from tiercel.spi import ConfigurationError
from tiercel_opentelemetry import TiercelInstrumentor, digest_key, plain_key
from tiercel_opentelemetry.observer import OBSERVER
from tiercel_opentelemetry.options import Options, from_environment, is_disabled


def test_key_when_not_asked_for_then_is_nowhere(telemetry: Telemetry, shared: Cache) -> None:
    """A key holds arguments, so spans show its template only."""
    cached: Any = shared.cached(name="tests:secret")(lambda user: user)
    cached("alice@example.com")
    shown = [str(known(each)) + each.name for each in telemetry.spans()]
    assert shown
    assert not [each for each in shown if "alice" in each]


@pytest.mark.parametrize(
    ("sanitizer", "expected"),
    [
        (plain_key, lambda key: key),
        (digest_key, digest_key),
        (lambda key: key[:7], lambda key: "tiercel"),
        (lambda key: None, lambda key: None),
    ],
)
def test_key_when_asked_for_then_goes_through_the_sanitizer(
    telemetry: Telemetry,
    shared: Cache,
    sanitizer: Callable[[str], str | None],
    expected: Callable[[str], str | None],
) -> None:
    """What it returns is shown; None shows nothing."""
    TiercelInstrumentor().instrument(keys=sanitizer)
    cached: Any = shared.cached(name="tests:shown")(lambda user: user)
    cached(1)
    shown = {known(each).get("tiercel.key") for each in telemetry.spans()}
    assert shown == {expected(cached.get_cache_key(1))}


def test_names_when_of_the_general_kind_then_replace_or_join_the_own(
    telemetry: Telemetry, shared: Cache
) -> None:
    """`cache` replaces those that have such a name; `cache/dup` gives both."""
    cached: Any = shared.cached(name="tests:named")(lambda user: user)
    TiercelInstrumentor().instrument(names="cache")
    cached(1)
    read = known(telemetry.spans()[0])
    assert (read["cache.operation"], read["cache.hit"], read["cache.name"]) == (
        "read", False, "shop",
    )  # fmt: skip
    assert "tiercel.status" not in read
    assert read["tiercel.function"] == "tests:named", "what has no general name keeps its own"
    telemetry.forget()
    TiercelInstrumentor().instrument(names="cache/dup")
    cached(1)
    read = known(telemetry.spans()[0])
    assert (read["cache.hit"], read["cache.status"], read["tiercel.status"]) == (True, "HIT", "HIT")


def test_sentry_when_asked_for_then_spans_have_its_attributes(
    telemetry: Telemetry, shared: Cache
) -> None:
    """Operation, hit, key and size, under the names that its view of caches reads."""
    TiercelInstrumentor().instrument(sentry=True)
    cached: Any = shared.cached(name="tests:sentry")(lambda user: user)
    cached(1)
    cached(1)
    cached.delete_cache(1)
    miss, _, fill, hit, drop = map(known, telemetry.spans())
    assert [each["sentry.op"] for each in (miss, fill, hit, drop)] == [
        "cache.get", "cache.put", "cache.get", "cache.remove",
    ]  # fmt: skip
    assert (miss["cache.hit"], hit["cache.hit"], fill["cache.write"]) == (False, True, True)
    assert hit["cache.item_size"] == fill["cache.item_size"] > 0
    assert hit["cache.key"] == ("tests/sentry:v1:{user}",)


def test_spans_when_suppressed_then_there_are_none(telemetry: Telemetry, shared: Cache) -> None:
    """As instrumentations do within what exporters do."""
    cached: Any = shared.cached(name="tests:suppressed")(lambda user: user)
    for key in (_SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation"):
        token = context.attach(context.set_value(key, True))
        try:
            cached(key)
        finally:
            context.detach(token)
    assert telemetry.spans() == []
    assert telemetry.points("tiercel.misses") == {}


def test_baggage_when_there_is_some_then_stays_and_is_not_sent(
    telemetry: Telemetry, shared: Cache
) -> None:
    """It may hold personal data, and a task may lie in a broker for long."""
    token = context.attach(baggage.set_baggage("user", "alice"))
    try:
        with telemetry.tracer.start_as_current_span("POST /"):
            carried = OBSERVER.carry()
            with OBSERVER.attach(carried):
                assert baggage.get_baggage("user") == "alice"
    finally:
        context.detach(token)
    assert carried.keys() == {"traceparent"}


def test_environment_when_it_says_nothing_then_options_are_the_default() -> None:
    """Memory hits in an attribute, no keys, own names."""
    assert from_environment({}) == Options()


def test_environment_when_it_chooses_then_options_follow() -> None:
    """The opt-in is the list that all of OpenTelemetry reads."""
    chosen = from_environment(
        {
            "TIERCEL_OTEL_MEMORY_HITS": "event",
            "TIERCEL_OTEL_KEYS": "digest",
            "TIERCEL_OTEL_SENTRY": "true",
            "OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup, cache",
        }
    )
    assert chosen == Options("event", digest_key, "cache", sentry=True)
    assert from_environment({"OTEL_SEMCONV_STABILITY_OPT_IN": "cache,cache/dup"}).names == (
        "cache/dup"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIERCEL_OTEL_MEMORY_HITS", "all"),
        ("TIERCEL_OTEL_KEYS", "yes"),
        ("TIERCEL_OTEL_SENTRY", "1"),
    ],
)
def test_environment_when_a_value_is_wrong_then_the_variable_is_named(
    name: str, value: str
) -> None:
    """With what it may be."""
    with pytest.raises(ConfigurationError, match=f"{name} is '{value}', but must be one of"):
        from_environment({name: value})


def test_options_when_wrong_then_are_refused() -> None:
    """Before anything is switched on."""
    with pytest.raises(ConfigurationError, match="memory_hits is 'all'"):
        TiercelInstrumentor().instrument(memory_hits="all")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="keys must be a function"):
        TiercelInstrumentor().instrument(keys=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variables", "disabled"),
    [
        ({}, False),
        ({"OTEL_SDK_DISABLED": "true"}, True),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis, tiercel"}, True),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis"}, False),
    ],
)
def test_environment_when_it_disables_us_then_we_are(
    variables: dict[str, str], disabled: bool
) -> None:
    """By the variables that switch off instrumentations and the SDK."""
    assert is_disabled(variables) is disabled


def test_uninstrument_when_called_then_functions_in_use_tell_nothing(
    telemetry: Telemetry, shared: Cache
) -> None:
    """And a second `instrument` has them tell again."""
    cached: Any = shared.cached(name="tests:switched")(lambda user: user)
    cached(1)
    telemetry.forget()
    instrumentor = TiercelInstrumentor()
    instrumentor.uninstrument()
    assert not instrumentor.is_instrumented_by_opentelemetry
    cached(1)
    assert telemetry.spans() == []
    instrumentor.instrument(tracer_provider=telemetry.tracer_provider)
    cached(1)
    assert len(telemetry.spans()) == 1
