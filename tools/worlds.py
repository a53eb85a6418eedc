"""Which tests run in which process: `python -m tools.worlds [pytest's arguments]`.

Django's settings hold for a whole process. A package whose tests need some keeps them in
`tests/settings.py`; such a package is a world of its own, and everything else is one more.
All tests take minutes, so the small worlds are then run beside the large one.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS = 5  # pytest's exit status when nothing was selected
PARALLEL = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
"""How the large world is run with all others: most tests wait, for a server or a process."""

BESIDE = ("-n", "0")
"""How the others are run meanwhile, one after the other."""

TAKES_VALUE = frozenset({"-k", "-m", "-n", "-p", "-o", "-c", "-W", "-r", "--dist", "--maxfail"})


def worlds() -> list[Path]:
    """Return the folder of every package whose tests have settings of their own."""
    return sorted(path.parent.parent for path in ROOT.glob("packages/*/*/tests/settings.py"))


def main(arguments: list[str]) -> int:
    """Run pytest once for each world that the arguments select, and return the worst status."""
    parts = split(arguments)
    statuses = [_pytest(part) for part in parts] if arguments else _all_beside(parts)
    found = [status for status in statuses if status != NO_TESTS]
    return max(found, default=NO_TESTS)


def split(arguments: list[str]) -> list[list[str]]:
    """Return the arguments of each run of pytest: of the common world, then of the others."""
    pairs = zip(["", *arguments], arguments, strict=False)
    paths = [each for before, each in pairs if _is_path(before, each)]
    options = [each for each in arguments if each not in paths]
    if not arguments:
        return [list(PARALLEL), *([*BESIDE, str(world)] for world in worlds())]
    if not paths:
        return [options, *([*options, str(world)] for world in worlds())]
    common = [path for path in paths if not any(_within(path, world) for world in worlds())]
    runs = [[*options, *common]] if common else []
    for world in worlds():
        own = [path for path in paths if _within(path, world)]
        if any(world.is_relative_to(_file(path)) for path in common):
            own = [str(world)]
        if own:
            runs.append([*options, *own])
    return runs


def _is_path(before: str, argument: str) -> bool:
    return not argument.startswith("-") and before not in TAKES_VALUE and _file(argument).exists()


def _within(path: str, world: Path) -> bool:
    return _file(path).is_relative_to(world)


def _file(path: str) -> Path:
    return ROOT / path.partition("::")[0]


def _all_beside(parts: list[list[str]]) -> list[int]:
    """Run the first part, and the others beside it; what they say follows when it has ended."""
    first, *others = parts
    with ThreadPoolExecutor(1) as pool:
        running = [pool.submit(_recorded, part) for part in others]
        try:
            statuses = [_pytest(first)]
            return [*statuses, *(_told(each) for each in running)]
        finally:
            pool.shutdown(cancel_futures=True)  # whoever interrupts one means all


def _recorded(arguments: list[str]) -> tuple[int, IO[bytes]]:
    """Run pytest; return its status and what it has said."""
    said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who reads it
    said.write(f"\n== pytest {' '.join(arguments)}\n".encode())
    said.flush()
    return _pytest(arguments, said), said


def _told(running: Future[tuple[int, IO[bytes]]]) -> int:
    """Show what a run has said when it has ended; return its status."""
    status, said = running.result()
    with said:
        said.seek(0)
        shutil.copyfileobj(said, sys.stdout.buffer)
    sys.stdout.flush()
    return status


def _pytest(arguments: list[str], output: IO[bytes] | None = None) -> int:
    # One seed for all processes of a run: they must agree on the order of parameters.
    seed = os.environ.get("PYTHONHASHSEED") or str(random.randrange(2**32))
    environment = os.environ | {"PYTHONHASHSEED": seed}
    # Tests start some hundred processes: none should compile what the one before it has compiled.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.call(
        command, cwd=ROOT, env=environment, stdout=output, stderr=output and subprocess.STDOUT
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
