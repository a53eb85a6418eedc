"""`tiercel functions` and `tiercel rules`."""

from __future__ import annotations

import click

from tiercel.cli.common import as_json, command
from tiercel.cli.output import show_rows
from tiercel.inspection import function_records, rule_records


@command("functions")
@click.argument("pattern", default="")
@as_json
def functions(pattern: str, as_json: bool) -> None:
    """List the cached functions whose name contains PATTERN."""
    show_rows(function_records(pattern), as_json=as_json)


@command("rules")
@click.argument("pattern", default="")
@as_json
def rules(pattern: str, as_json: bool) -> None:
    """List what drops the entries of functions whose name contains PATTERN."""
    show_rows(rule_records(pattern), as_json=as_json)
