"""A process that has an integration installed and does not use its framework."""

from __future__ import annotations

import subprocess
import sys

USE = """
import sys
import tiercel
tiercel.get_cache().set("key", 1)
@tiercel.cache_result(ttl=5, codec="safe")
def double(number: int) -> int:
    return 2 * number
assert double(4) == double(4) == 8
@tiercel.cached_view(["path"])
def page(request):
    return "page"
class Request:
    path = "/"
assert page(Request()) == "page"
roots = {name.partition(".")[0] for name in sys.modules}
print(*sorted(roots & set(sys.argv[1:])))
"""


def imported_of(*packages: str) -> list[str]:
    """Return which of these packages a process imports that uses Tiercel in every way."""
    done = subprocess.run(
        [sys.executable, "-c", USE, *packages],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
