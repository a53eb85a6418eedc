"""Commands for one call: key, explain, why, get, drop, refresh.

Arguments are Python literals, or texts; `name=value` passes by name.
"""

from __future__ import annotations

import click

from tiercel.cli.common import (
    MISUSED,
    WRONG,
    Failure,
    as_json,
    assume_yes,
    call_command,
    command,
    confirm,
    waiting,
)
from tiercel.cli.output import show_record, show_value
from tiercel.inspection import (
    drop_call,
    explain,
    find_function,
    parse_call,
    peek_value,
    refresh_call,
    why,
    written_call,
)
from tiercel.inspection.plain import as_json as json_text
from tiercel.inspection.records import EntryState
from tiercel.inspection.watching import with_counts_of_all


@call_command("key")
def key(function: str, arguments: tuple[str, ...], as_json: bool) -> None:
    """Print the key of a call."""
    found = find_function(function)
    args, kwargs = parse_call(found, arguments)
    text = found.get_cache_key(*args, **kwargs)
    if as_json:
        call = written_call(found.name, args, kwargs)
        click.echo(json_text({"function": found.name, "call": call, "key": text}), nl=False)
    else:
        click.echo(text)


@call_command("explain")
@waiting
def explain_call(function: str, arguments: tuple[str, ...], as_json: bool, wait: float) -> None:
    """Tell everything that is known of a call.

    Its key and fields, its entry in each tier with age, remaining life, size and cost, its stamps
    with who changed them last, how calls of the function were served in all processes, and the
    rules that would drop it. Computes nothing.
    """
    found = find_function(function)
    args, kwargs = parse_call(found, arguments)
    explanation = explain(found, args, kwargs)
    if explanation.shared.state is not EntryState.UNAVAILABLE:
        explanation = with_counts_of_all(explanation, wait)
    show_record(explanation, as_json=as_json)


@command("why")
@click.argument("key")
@as_json
def why_key(key: str, as_json: bool) -> None:
    """Tell why a KEY is, or is not, served, and who dropped it last."""
    reason = why(key)
    if not as_json:
        click.echo(reason.why)
    show_record(reason, as_json=as_json)


@call_command("get")
def get(function: str, arguments: tuple[str, ...], as_json: bool) -> int:
    """Print what is cached for a call; nothing is computed.

    Exits with 1 if there is nothing.
    """
    found = find_function(function)
    args, kwargs = parse_call(found, arguments)
    present, value = peek_value(found, args, kwargs)
    if present:
        show_value(value, as_json=as_json)
        return 0
    if as_json:
        click.echo(json_text({"found": False, "value": None}), nl=False)
    else:
        click.echo("nothing is cached for this call", err=True)
    return WRONG


@call_command("drop")
@assume_yes
def drop(function: str, arguments: tuple[str, ...], as_json: bool, yes: bool) -> None:
    """Drop the entry of a call, in all tiers of all processes.

    Leading arguments of a partition drop that partition; no arguments drop everything.
    """
    found = find_function(function)
    args, kwargs = parse_call(found, arguments, partial=True)
    what = written_call(found.name, args, kwargs) if arguments else f"everything of {found.name}"
    confirm(f"Drop {what}?", yes=yes)
    try:
        done = drop_call(found, args, kwargs)
    except TypeError as error:
        raise Failure(str(error), MISUSED) from error
    show_record(done, as_json=as_json)


@call_command("refresh")
def refresh(function: str, arguments: tuple[str, ...], as_json: bool) -> int:
    """Compute a call now, in this process, and overwrite its entry.

    Exits with 1 if the function raises.
    """
    found = find_function(function)
    args, kwargs = parse_call(found, arguments)
    done, _ = refresh_call(found, args, kwargs)
    show_record(done, as_json=as_json)
    return WRONG if done.error else 0
