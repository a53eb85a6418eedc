"""Every static check of the repository: `./dev check [NAME...]`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import NamedTuple

from tools.environment import ROOT, distributions, variables
from tools.repository import dependencies_locked, files_clean, modules_short

LINT_IMPORTS = (
    *(sys.executable, "-c", "import importlinter.cli; importlinter.cli.lint_imports_command()"),
    *("--no-logo", "--cache-dir", ".cache/importlinter"),
)
TYPED = ("dev", "tools", "tests", "packages", "benchmarks", "examples", "docs")


class Outcome(NamedTuple):
    """How one check ended: its name, whether it passed, what it said and its seconds."""

    name: str
    passed: bool
    output: str
    seconds: float


def main(names: list[str]) -> int:
    """Run the checks called `names`, or all, and return 1 if any fails."""
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"dev: no check {unknown[0]!r}; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for future in as_completed(pool.submit(_timed, name) for name in names or CHECKS):
            outcome = future.result()
            print(f"{'ok' if outcome.passed else 'FAILED':<7} {outcome.name:<13}", end="")
            print(f"{outcome.seconds:6.1f} s", flush=True)
            if not outcome.passed:
                failed.append(outcome.name)
                print(outcome.output.rstrip(), flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return int(bool(failed))


def _timed(name: str) -> Outcome:
    start = time.perf_counter()
    passed, output = CHECKS[name]()
    return Outcome(name, passed, output, time.perf_counter() - start)


def _tool(*arguments: str) -> Callable[[], tuple[bool, str]]:
    return _run(sys.executable, "-m", *arguments)


def _run(*command: str) -> Callable[[], tuple[bool, str]]:
    def check() -> tuple[bool, str]:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=variables() | {"MYPYPATH": _source_roots()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode == 0, done.stdout

    return check


def _own(find_problems: Callable[[], list[str]]) -> Callable[[], tuple[bool, str]]:
    def check() -> tuple[bool, str]:
        problems = find_problems()
        return not problems, "\n".join(problems)

    return check


def _source_roots() -> str:
    """Return every folder whose content is imported by its own name, for mypy."""
    programs = [
        ROOT / "benchmarks",
        *(ROOT / "examples").glob("*/"),
        *(ROOT / "examples").glob("*/src"),
    ]
    packages = [path / "src" for path in distributions()]
    return os.pathsep.join(str(path) for path in packages + programs if path.is_dir())


_TYPED = [name for name in TYPED if any((ROOT / name).rglob("*.py")) or (ROOT / name).is_file()]

# The slowest first, so that the others run beside them.
CHECKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "mypy": _tool("mypy", "--python-version=3.11", *_TYPED),
    "pyright": _tool("pyright"),
    "ruff": _tool("ruff", "check", "--quiet", "--output-format=concise"),
    "format": _tool("ruff", "format", "--check", "--quiet"),
    "imports": _run(*LINT_IMPORTS),
    "length": _own(modules_short),
    "files": _own(files_clean),
    "dependencies": _own(dependencies_locked),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
