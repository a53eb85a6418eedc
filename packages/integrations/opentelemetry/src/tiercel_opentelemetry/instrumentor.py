"""Switches traces and metrics on and off, in the form that OpenTelemetry's own tools expect."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from tiercel.spi import observe_anew
from tiercel_opentelemetry.observer import OBSERVER
from tiercel_opentelemetry.options import MemoryHits, Names, Sanitizer


class TiercelInstrumentor:
    """What `opentelemetry-instrument` calls, and whoever sets OpenTelemetry up by hand.

    It is needed only for options and providers of one's own, or where providers are set up after
    caches were used: the plugin finds the global providers by itself.
    """

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        """Whether it is switched on."""
        return OBSERVER.enabled

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what must be installed."""
        return ("tiercel >= 0.1, < 0.2",)

    def instrument(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        memory_hits: MemoryHits | None = None,
        keys: Sanitizer | None = None,
        names: Names | None = None,
        sentry: bool | None = None,
        **ignored: Any,
    ) -> None:
        """Switch traces and metrics on, for functions that are in use already, too.

        Args:
            tracer_provider: Where spans go; None: as before, which at first is the global one.
            meter_provider: The same for metrics.
            memory_hits: What becomes of a hit in memory: `count`, `attribute`, `event` or `span`.
            keys: Makes of the text of a key what spans show of it.
            names: `tiercel`, `cache` or `cache/dup`, see `Options`.
            sentry: Whether spans also have the attributes that Sentry knows.
            **ignored: What tools pass to any instrumentor.

        Raises:
            ConfigurationError: An option has a value that nobody knows.
        """
        given = {"memory_hits": memory_hits, "keys": keys, "names": names, "sentry": sentry}
        chosen = {name: value for name, value in given.items() if value is not None}
        OBSERVER.options = replace(OBSERVER.options, **chosen)  # type: ignore[arg-type]
        OBSERVER.tracer_provider = tracer_provider or OBSERVER.tracer_provider
        OBSERVER.meter_provider = meter_provider or OBSERVER.meter_provider
        OBSERVER.enabled = True
        observe_anew()

    def uninstrument(self, **ignored: Any) -> None:
        """Switch traces and metrics off; options and providers are forgotten."""
        OBSERVER.reset(enabled=False)
        observe_anew()
