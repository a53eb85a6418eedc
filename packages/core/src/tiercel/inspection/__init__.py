"""Answers questions about caches, functions, rules and entries, for whatever shows them.

records     what the answers are          arguments   calls, as people write them
functions   functions and rules           caches      configured, or made by hand
entries     one call: explain, why        tiers       its entry in each tier
keys        what the text of a key says   provenance  who dropped something
reaches     which rules would             health      whether everything works
tier_health whether one cache does        watching    all processes together
acting      drop, refresh, warm           plain       without click and rich

It knows no command line and no web page. Every answer is a record that turns into JSON.
"""

from __future__ import annotations

from tiercel.inspection.acting import (
    drop_call,
    drop_everything,
    live_calls,
    refresh_call,
    warm_call,
)
from tiercel.inspection.arguments import (
    call_from_json,
    parse_call,
    written_call,
)
from tiercel.inspection.entries import explain, peek_value, why
from tiercel.inspection.functions import find_function, function_records, rule_records
from tiercel.inspection.health import examine_all
from tiercel.inspection.receivers import BadArguments
from tiercel.inspection.records import FunctionRecord, as_builtins
from tiercel.inspection.watching import Cluster, FunctionCounts, events_in

__all__ = [
    "BadArguments",
    "Cluster",
    "FunctionCounts",
    "FunctionRecord",
    "as_builtins",
    "call_from_json",
    "drop_call",
    "drop_everything",
    "events_in",
    "examine_all",
    "explain",
    "find_function",
    "function_records",
    "live_calls",
    "parse_call",
    "peek_value",
    "refresh_call",
    "rule_records",
    "warm_call",
    "why",
    "written_call",
]
