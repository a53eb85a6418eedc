"""Traces and metrics of Tiercel's caches, on the OpenTelemetry API alone.

instrumentor.py  switches it on and off, with options
options.py       what can be chosen, and how the environment says it
observer.py      what Tiercel calls, and what makes spans of its operations
attributes.py    what spans say; spans.py: their links, errors and events
hits.py          hits in memory on the current span
metrics.py       instruments; what is read from time to time, and what is counted at once
sanitizers.py    how a key may be shown
"""

from tiercel_opentelemetry.instrumentor import TiercelInstrumentor
from tiercel_opentelemetry.sanitizers import digest_key, plain_key

__all__ = ["TiercelInstrumentor", "digest_key", "plain_key"]
