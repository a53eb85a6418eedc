"""At the limit of recursion a cache may raise, and nothing worse."""

from __future__ import annotations

import subprocess
import sys

from tiercel.testing.servers import RedisServer

PROGRAM = """
import sys
from tiercel import Cache
from tiercel.spi import BackendLocation
from tiercel_redis.backend import RedisBackend

cache = Cache(backend=RedisBackend(BackendLocation(sys.argv[1])))

@cache.cached(name="tests:fib", tiers=sys.argv[2])
def fib(number):
    return number if number < 2 else fib(number - 1) + fib(number - 2)

def at_depth(depth):
    if depth:
        return at_depth(depth - 1)
    try:
        return fib(300)
    except RecursionError:
        return None

for depth in range(25):
    at_depth(depth)
print(fib(20))
"""


def test_recursive_function_when_it_is_too_deep_then_the_process_goes_on(
    server: RedisServer,
) -> None:
    """Wherever in a command the limit is reached."""
    for tiers in ("shared", "both"):
        command = [sys.executable, "-c", PROGRAM, server.url, tiers]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert (ended.returncode, ended.stdout) == (0, "6765\n"), ended.stderr[-2000:]
