"""Names of modules that mean the same in every process, also where a module is the program."""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import Any, Final

_PROGRAM: Final = ("__main__", "__mp_main__")
"""What Python calls the program, and a child that multiprocessing has started calls it."""


def module_of(thing: Any) -> str:
    """Return the name under which others import the module of a class or function.

    Two programs that share a cache are both called `__main__`, and a program may well be imported
    by another one. What was typed in has no other name.
    """
    name: str = thing.__module__
    return _program(name) if name in _PROGRAM else name


def is_program(module: str) -> bool:
    """Tell whether a module is the program of this process, so that it need not be imported."""
    return module in map(_program, _PROGRAM)


def _program(name: str) -> str:
    program = sys.modules.get(name)
    spec, path = getattr(program, "__spec__", None), getattr(program, "__file__", None)
    if spec is not None:
        return str(spec.name)
    return "__main__" if path is None else PurePath(path).stem
