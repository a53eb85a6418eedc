"""Draws a trace as a tree, for the documentation and for whoever reads a failed test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from packages.integrations.opentelemetry.tests.collector import Received

SHOWN: Final = ("rule", "source", "dispatcher", "task.kind", "cause", "status", "tier")


def drawn(root: Received, spans: Sequence[Received], processes: Mapping[str, str]) -> str:
    """Return a trace as text, a line for each span.

    Args:
        root: Its first span.
        spans: Where to look for the others.
        processes: What to call the processes that they come from.
    """
    lines = list(_lines(root, spans, "", ""))
    width = max(len(name) for name in processes.values()) + 2
    column = max(len(tree) for _, tree in lines) + 2
    drawn = [
        f"{processes[span.process]:{width}}{tree:{column}}{_about(span)}" for span, tree in lines
    ]
    return "\n".join(line.rstrip() for line in drawn)


def _lines(
    span: Received, spans: Sequence[Received], indent: str, branch: str
) -> Iterator[tuple[Received, str]]:
    yield span, f"{indent}{branch}{span.name}"
    below = sorted((each for each in spans if each.parent == span.id), key=lambda each: each.start)
    inner = indent + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
    for each in below:
        yield from _lines(each, spans, inner, "└─ " if each is below[-1] else "├─ ")


def _about(span: Received) -> str:
    known = {name: span.attributes.get(f"tiercel.{name}") for name in SHOWN}
    said = ", ".join(f"{name}={value}" for name, value in known.items() if value is not None)
    kind = "" if span.kind == "INTERNAL" else f"{span.kind}  "
    return f"{kind}{said}"
