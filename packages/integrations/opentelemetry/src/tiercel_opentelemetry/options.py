"""What can be chosen about spans, and how environment variables say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from tiercel.spi import ConfigurationError
from tiercel_opentelemetry.sanitizers import digest_key, plain_key

MemoryHits = Literal["count", "attribute", "event", "span"]
Names = Literal["tiercel", "cache", "cache/dup"]
Sanitizer = Callable[[str], str | None]

SANITIZERS: Final[Mapping[str, Sanitizer]] = {"digest": digest_key, "plain": plain_key}


@dataclass(frozen=True, slots=True)
class Options:
    """How spans look.

    Attributes:
        memory_hits: What becomes of a hit in memory: it is only counted, or noted on the current
            span by an attribute or an event, or it gets a span of its own.
        keys: Makes of a key what spans show of it; None for a key: nothing. None: no keys.
        names: `tiercel.*`; or instead of some of these `cache.*`, which no convention defines
            yet; or both.
        sentry: Whether spans also have the attributes by which Sentry knows caches.
    """

    memory_hits: MemoryHits = "attribute"
    keys: Sanitizer | None = None
    names: Names = "tiercel"
    sentry: bool = False

    def __post_init__(self) -> None:
        _check("memory_hits", self.memory_hits, get_args(MemoryHits))
        _check("names", self.names, get_args(Names))
        if self.keys is not None and not callable(self.keys):
            raise ConfigurationError(
                f"tiercel-opentelemetry: keys must be a function of a key's text, not {self.keys!r}"
            )


def from_environment(environment: Mapping[str, str]) -> Options:
    """Return the options that environment variables choose.

    `TIERCEL_OTEL_MEMORY_HITS`, `TIERCEL_OTEL_KEYS` (`digest` or `plain`), `TIERCEL_OTEL_SENTRY`
    (`true`), and `OTEL_SEMCONV_STABILITY_OPT_IN`, a list that may name `cache` or `cache/dup`.

    Raises:
        ConfigurationError: One of the first three has a value that nobody knows.
    """
    hits = environment.get("TIERCEL_OTEL_MEMORY_HITS", "attribute")
    keys = environment.get("TIERCEL_OTEL_KEYS", "")
    sentry = environment.get("TIERCEL_OTEL_SENTRY", "false").lower()
    _check("TIERCEL_OTEL_MEMORY_HITS", hits, get_args(MemoryHits))
    _check("TIERCEL_OTEL_KEYS", keys, ("", *SANITIZERS))
    _check("TIERCEL_OTEL_SENTRY", sentry, ("true", "false"))
    names = names_of(environment.get("OTEL_SEMCONV_STABILITY_OPT_IN", ""))
    return Options(hits, SANITIZERS.get(keys), names, sentry == "true")  # type: ignore[arg-type]


def names_of(opted_in: str) -> Names:
    """Return which names a list of OpenTelemetry's opt-ins asks for; `cache/dup` wins."""
    chosen = {each.strip() for each in opted_in.split(",")}
    if "cache/dup" in chosen:
        return "cache/dup"
    return "cache" if "cache" in chosen else "tiercel"


def is_disabled(environment: Mapping[str, str]) -> bool:
    """Tell whether `OTEL_SDK_DISABLED` or the list of disabled instrumentations switch it off."""
    listed = environment.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    off = {name.strip() for name in listed}
    return environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or bool(
        off & {"tiercel", "*"}
    )


def _check(what: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        choice = ", ".join(repr(each) for each in known if each)
        raise ConfigurationError(
            f"tiercel-opentelemetry: {what} is {given!r}, but must be one of {choice}"
        )
