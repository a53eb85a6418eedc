"""Programs of tests that begin at once, as forks of a process that has imported the libraries.

To start Python and import Django, redis-py and Tiercel takes seconds of a processor's time, and
tests of brokers start some hundred programs. A fork has nothing of the test's own process: what it
finds imported is `LIBRARIES`, and its variables are those that it is given. Workers of brokers are
started by the commands that their users type.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

LIBRARIES = [
    "django.core.management",
    "django.db.backends.sqlite3.base",
    "django.db.models",
    "django.http",
    "tiercel",
    "tiercel_redis.backend",
]
"""What every fork finds imported; none of it looks at settings or variables then."""

PATIENCE = 90.0
"""Seconds that a program may take from its begin to its end."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(LIBRARIES)


class Finished(NamedTuple):
    """What a program has printed."""

    stdout: str
    stderr: str


def run(
    module: str, *arguments: str, variables: Mapping[str, str], directory: Path, name: str
) -> Finished:
    """Run `python -m module arguments`, which must succeed.

    Args:
        module: The module.
        *arguments: Those on its command line.
        variables: The environment besides that of this process.
        directory: Where it runs, and where what it prints is kept.
        name: Names the files with what it prints.

    Raises:
        AssertionError: It failed, or took too long; says what it has printed.
    """
    output, errors = directory / f"{name}.out", directory / f"{name}.err"
    process = start(
        _run_module, module, arguments, variables=variables, output=output, errors=errors
    )
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        process.join()
    finished = Finished(output.read_text(), errors.read_text())
    assert process.exitcode == 0, f"{module} ended with {process.exitcode}:\n{finished.stderr}"
    return finished


def start(
    act: Callable[..., object],
    *arguments: Any,
    variables: Mapping[str, str],
    output: Path,
    errors: Path,
) -> ForkServerProcess:
    """Let a fork act; it runs in the folder of `output`.

    Args:
        act: What it calls, from a module that does not look at variables when it is imported.
        *arguments: What `act` gets.
        variables: The environment besides that of this process.
        output: The file that gets what it prints.
        errors: The file that gets what it logs, after what is there.
    """
    environment = {**os.environ, **variables}
    process = _context.Process(
        target=_act, args=(act, arguments, environment, str(output), str(errors))
    )
    process.start()
    return process


def serve(modules: Sequence[str], function: str, *arguments: Any) -> None:
    """Import modules in their order and call a function of the last one."""
    for module in modules:
        importlib.import_module(module)
    getattr(sys.modules[modules[-1]], function)(*arguments)


def _act(
    act: Callable[..., object],
    arguments: Sequence[Any],
    environment: Mapping[str, str],
    output: str,
    errors: str,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(Path(output).parent)
    _redirect(1, output, os.O_TRUNC)
    _redirect(2, errors, os.O_APPEND)
    act(*arguments)


def _redirect(number: int, path: str, how: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
    os.dup2(descriptor, number)
    os.close(descriptor)


def _run_module(module: str, arguments: Sequence[str]) -> None:
    sys.argv[:] = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
