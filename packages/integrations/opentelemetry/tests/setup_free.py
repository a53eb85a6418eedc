"""A program without a word about telemetry, which `opentelemetry-instrument` starts.

python setup_free.py CACHE-URL REDIS-URL
"""

from __future__ import annotations

import sys

from redis import Redis

from tiercel import Cache

cache = Cache(sys.argv[1], name="shop")
client = Redis.from_url(sys.argv[2])


@cache.cached(name="app:visits")
def visits(page: str) -> int:
    """Count in Redis."""
    return int(client.incr(page))


for _ in range(3):
    sys.stdout.write(f"{visits('/')}\n")
