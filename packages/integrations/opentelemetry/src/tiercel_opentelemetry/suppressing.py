"""What says that nothing below is to be traced, as exporters do of their own requests."""

from __future__ import annotations

from typing import Final

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context

# The API has no public name for it; all instrumentations of OpenTelemetry import this one.
_KEYS: Final = frozenset((_SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation"))


def is_suppressed(context: Context) -> bool:
    """Tell whether instrumentations are to keep quiet in a context."""
    return not _KEYS.isdisjoint(context) and any(context.get(key) for key in _KEYS)
