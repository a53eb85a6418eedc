"""The short way for what is most common: a rule whose work is to drop something in this process.

Nobody carries it, nothing in it can fail, and no observer wants to know of a task. So the task that
it would be is not made.
"""

from __future__ import annotations

from tiercel.dispatch import InlineDispatcher
from tiercel.engine import sync
from tiercel.engine.drop import drop_scopes
from tiercel.invalidation.targets import Reach
from tiercel.invalidation.work import Work


def dropped_at_once(work: Work) -> bool:
    """Do a piece of work here and now, if it is of that kind; tell whether it was."""
    if work.origin is None or work.row is not None:
        return False
    rule, function = work.origin
    if rule.rule.rewarm or any(target.reach is Reach.ENTRY for target in work.targets):
        return False
    subject = function.subject
    engine = subject.engine
    if engine.backend is not None or engine.observers.follow_tasks:
        return False
    if not isinstance(function.rule_dispatcher(rule.rule), InlineDispatcher):
        return False
    if subject.watched:
        about = {"rule": work.rule, "source": rule.source.label}
        scopes = [target.scope for target in work.targets]
        sync.run(engine, drop_scopes(subject, *scopes, about=about))
    elif engine.memory is not None:
        for target in work.targets:
            engine.memory.drop_name(target.text)
    return True
