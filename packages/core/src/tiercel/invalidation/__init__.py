"""Rules: which changes of rows drop which entries, and how that is carried out.

rules        what the user writes          sources      what rules listen to
targets      what a rule drops             invalidators a project's own functions
fitting      whether its mapping can say   bound        a rule with its function
conditions   whether it concerns a change  registry     which rules a change concerns
work         what is to be done, as data   planning     what a change makes necessary
carrying     having it done by dispatchers performing   doing it
changes      reporting changes by hand     receiving    from other processes
                                           at_once      the short way for drops in memory
"""

from __future__ import annotations

from tiercel.invalidation.bound import BoundRule, RuledFunction, bind_rules, check_dispatchers
from tiercel.invalidation.carrying import acarry_out, carry_out
from tiercel.invalidation.changes import achanged, change_of, changed
from tiercel.invalidation.planning import plan
from tiercel.invalidation.receiving import received_work
from tiercel.invalidation.registry import Listed, has_rules, register_rules, rules
from tiercel.invalidation.rules import InvalidationRule, SignalType
from tiercel.invalidation.sources import value_at
from tiercel.invalidation.targets import Target
from tiercel.invalidation.work import Work

__all__ = [
    "BoundRule",
    "InvalidationRule",
    "Listed",
    "RuledFunction",
    "SignalType",
    "Target",
    "Work",
    "acarry_out",
    "achanged",
    "bind_rules",
    "carry_out",
    "change_of",
    "changed",
    "check_dispatchers",
    "has_rules",
    "plan",
    "received_work",
    "register_rules",
    "rules",
    "value_at",
]
