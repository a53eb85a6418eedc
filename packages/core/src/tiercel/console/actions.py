"""What the buttons do; each says in one sentence what it has done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tiercel.configuration import get_cache
from tiercel.inspection import call_from_json, drop_call, find_function, refresh_call
from tiercel.oversight import cache_names

Form = Mapping[str, str]


def drop(form: Form) -> str:
    """Drop the entry of a call, or everything of a function."""
    function = find_function(form.get("function", ""))
    args, kwargs = call_from_json(function, form["call"]) if form.get("call") else ((), {})
    done = drop_call(function, args, kwargs)
    return f"{done.what}: {done.done or done.error}"


def refresh(form: Form) -> str:
    """Compute a call anew."""
    function = find_function(form.get("function", ""))
    args, kwargs = call_from_json(function, form.get("call", ""))
    done, _ = refresh_call(function, args, kwargs)
    return f"{done.what}: {done.done or done.error}"


def clear_memory(form: Form) -> str:
    """Empty the memory tiers of all processes, of one cache or of all."""
    names = [form["cache"]] if form.get("cache") else cache_names()
    for name in names:
        get_cache(name).clear_memory()
    return f"memory cleared in all processes: {', '.join(names)}"


ACTIONS: Final[Mapping[str, Callable[[Form], str]]] = {
    "/drop": drop,
    "/refresh": refresh,
    "/clear-memory": clear_memory,
}
"""By the path that a form is sent to."""
