"""Hits in memory as observers are told of them."""

from __future__ import annotations

from functools import partial

from tiercel.engine.state import Subject
from tiercel.hitpath import HitPath


def observe(subject: Subject, path: HitPath, template: str) -> None:
    """Ask observers whether they listen; the hit path knows of them only if one wants hits.

    Args:
        subject: The function.
        path: What serves its hits.
        template: What its keys are made of.
    """
    subject.template = template
    subject.observe()
    hit = subject.memory_hit
    path.tell(None if hit is None else partial(subject.engine.observers.memory_hit, hit))
