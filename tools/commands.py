"""The commands of `./dev`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from tools.environment import LOCK, ROOT, VENV, SetupError, ensure, uv_variables, variables

Command = Callable[[list[str]], int]


def main(arguments: list[str]) -> int:
    """Run the command that `arguments` name and return its exit status."""
    name, *rest = arguments or ["help"]
    command = COMMANDS.get({"-h": "help", "--help": "help"}.get(name, name))
    if command is None:
        print(f"dev: no command {name!r}; there are: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return command(rest)
    except SetupError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1


def demo(arguments: list[str]) -> int:
    """See a small application being cached, live; --redis across processes."""
    _python(["examples/demo/run.py", *arguments])


def test(arguments: list[str]) -> int:
    """Run the tests; takes pytest's arguments (-m long for the long ones)."""
    _python(["-m", "tools.worlds", *arguments])


def check(arguments: list[str]) -> int:
    """Run every static check, or those named."""
    _python(["-m", "tools.checks", *arguments])


def bench(arguments: list[str]) -> int:
    """Measure against other libraries, side by side in one run."""
    _python(["benchmarks/bench.py", *arguments])


def lock(arguments: list[str]) -> int:
    """Pin 3rdparty/python/requirements.txt anew; --upgrade for newer versions."""
    from subprocess import run

    ensure()
    requirements = LOCK.with_suffix(".txt").relative_to(ROOT)
    command = [
        *(str(VENV / "bin" / "uv"), "pip", "compile", "--quiet", "--universal"),
        *("--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"),
        *("--custom-compile-command", "./dev lock"),
        *("--output-file", str(LOCK.relative_to(ROOT)), *arguments, str(requirements)),
    ]
    return run(command, cwd=ROOT, env=uv_variables(), check=False).returncode


def new_plugin(arguments: list[str]) -> int:
    """Make a plugin of your own that works: dispatcher NAME [--into DIR]."""
    return run(["tiercel", "new-plugin", *arguments])


def run(arguments: list[str]) -> int:
    """Run any command inside the environment, from where you are."""
    if not arguments:
        print("dev: run what? For example: ./dev run python", file=sys.stderr)
        return 2
    ensure()
    env = variables()
    os.environ["PATH"] = env["PATH"]  # execvpe looks the command up here
    try:
        os.execvpe(arguments[0], arguments, env)
    except FileNotFoundError:
        print(f"dev: no command {arguments[0]!r} in .venv or on PATH", file=sys.stderr)
        return 127


def show_help(_: list[str]) -> int:
    """Show this list."""
    print("Usage: ./dev COMMAND [arguments]\n")
    for name, command in COMMANDS.items():
        print(f"  {name:<11}{command.__doc__}")
    print("\nThe first command ever typed makes the environment in .venv; no other set-up exists.")
    return 0


def _python(arguments: list[str]) -> NoReturn:
    python = str(ensure())
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execve(python, [python, *arguments], variables())


COMMANDS: dict[str, Command] = {
    "demo": demo,
    "test": test,
    "check": check,
    "bench": bench,
    "lock": lock,
    "new-plugin": new_plugin,
    "run": run,
    "help": show_help,
}
