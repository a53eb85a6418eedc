"""Texts for targets that reach for more than a request means to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """One text.

    Attributes:
        template: The text, as `str.format(request=...)` would fill it in.
        leaks: Whether what it was filled with shows too much.
    """

    template: str
    leaks: Callable[[str], bool]


def _shows(wanted: str) -> Callable[[str], bool]:
    return lambda filled: wanted in filled


FORMATS = (
    Format("{request.__class__}", _shows("class")),
    Format("{request.__class__.__mro__}", _shows("object")),
    Format("{request.__init__.__globals__}", _shows("__builtins__")),
    Format("{request.__class__.__init__.__globals__[__builtins__][eval]}", _shows("eval")),
    Format("{request.__dict__}", _shows("{")),
    Format("{request.__class__.__subclasses__}", _shows("built-in method")),
    Format("{request.method.__len__}", _shows("method-wrapper")),
    Format("{request.method!r}", _shows("'")),
    Format("{request.method[0]}", lambda filled: len(filled) == 1),
    Format("{request.method:>1000000}", lambda filled: len(filled) == 1_000_000),
)
