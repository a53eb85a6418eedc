"""A process that has this package and does not use Django."""

from __future__ import annotations

import subprocess
import sys

SILENT = """
import sys
import tiercel
@tiercel.cache_result(ttl=5, codec="safe")
def double(number: int) -> int:
    return 2 * number
assert double(4) == double(4) == 8
class Thing: ...
tiercel.changed(Thing, new=Thing())
print(sorted(name for name in sys.modules if name.partition(".")[0] == "django"))
"""


def test_process_without_django_then_not_even_imported() -> None:
    """Where this package is installed but Django is not used, it costs nothing and harms nobody."""
    done = subprocess.run(
        [sys.executable, "-c", SILENT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
