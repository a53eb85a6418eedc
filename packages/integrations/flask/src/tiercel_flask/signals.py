"""Signals of blinker: whether cached views and memoized functions hit or missed.

Sent where `TIERCEL_SIGNALS` is true. The sender is the `Tiercel` that decorated the function; a
receiver gets `cache_key`, `args` and `kwargs` of the call, and `f` where it was memoized.
"""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

cache_view_hit = _signals.signal("cache_view_hit")
cache_view_miss = _signals.signal("cache_view_miss")
cache_memoize_hit = _signals.signal("cache_memoize_hit")
cache_memoize_miss = _signals.signal("cache_memoize_miss")
