"""Templates: everything in them is escaped, and a name that does not exist is an error."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from tiercel.console import charts

UNKNOWN: Final = "\N{EN DASH}"


@lru_cache(1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tiercel.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": clock,
        "seconds": seconds,
        "share": share,
        "count": count,
        "bytes": size,
    }
    environment.globals |= {"line": charts.line, "bar": charts.bar}
    return environment


def render(name: str, **context: Any) -> bytes:
    """Fill in a template."""
    return _environment().get_template(name).render(context).encode()


@lru_cache(1)
def style() -> bytes:
    """Return the style sheet."""
    return files("tiercel.console").joinpath("templates", "style.css").read_bytes()


def clock(at: float) -> str:
    """Write a time of day, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def seconds(value: float | None) -> str:
    """Write a time in the unit that suits it."""
    if value is None:
        return UNKNOWN
    for unit, size_ in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if abs(value) >= size_:
            return f"{value / size_:.1f} {unit}"
    return f"{value * 1000:.1f} ms"


def share(value: float | None) -> str:
    """Write a share of 0 to 1 in per cent."""
    return UNKNOWN if value is None else f"{value:.1%}"


def count(value: float) -> str:
    """Write a number with its thousands apart."""
    return f"{value:,.0f}"


def size(value: int | None) -> str:
    """Write a number of bytes in the unit that suits it."""
    if value is None:
        return UNKNOWN
    for unit, step in (("MB", 1_000_000), ("kB", 1000)):
        if value >= step:
            return f"{value / step:.1f} {unit}"
    return f"{value} B"
