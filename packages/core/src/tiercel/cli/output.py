"""Answers as tables for people, and as JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pprint import pformat
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from tiercel.inspection import plain
from tiercel.inspection.records import as_builtins

echo = click.echo
option = click.option

_STATES = {"ok": "green", "warning": "yellow", "wrong": "bold red", "broken": "bold red"}


def show_rows(records: Sequence[Any], *, as_json: bool) -> None:
    """Write records as a table, or as a JSON list."""
    rows = as_builtins(records)
    if as_json:
        click.echo(plain.as_json(rows), nl=False)
    elif sys.stdout.isatty() and rows:
        Console().print(rich_table(rows))
    else:
        click.echo(plain.table(rows), nl=False)


def show_record(record: Any, *, as_json: bool) -> None:
    """Write one record as lines of name and value, or as a JSON object."""
    found = as_builtins(record)
    if as_json:
        click.echo(plain.as_json(found), nl=False)
        return
    for name, value in found.items():
        _show_value(name.replace("_", " "), value)


def show_line(record: Any) -> None:
    """Write one record as one line of JSON."""
    click.echo(msgspec.json.encode(record).decode())


def rich_table(rows: Sequence[Mapping[str, Any]], title: str | None = None) -> Table:
    """Return rows as a table for a terminal; columns that are empty are left out."""
    table = Table(title=title, box=None, header_style="bold", title_justify="left", pad_edge=False)
    names = [name for name in rows[0] if any(plain.cell(row[name]) for row in rows)] if rows else []
    for name in names:
        numbers = all(isinstance(row[name], (int, float)) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in names))
    return table


def readable(value: Any) -> Any:
    """Return a value as JSON carries it, or its representation."""
    try:
        return msgspec.to_builtins(value)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def show_value(value: Any, *, as_json: bool) -> None:
    """Write the value of an entry."""
    if as_json:
        click.echo(plain.as_json({"found": True, "value": readable(value)}), nl=False)
    else:
        click.echo(pformat(value))


def _cell(value: Any) -> str:
    text = (plain.cell(value) or "-").replace("[", "\\[")
    style = _STATES.get(text)
    return f"[{style}]{text}[/]" if style else text


def _show_value(name: str, value: Any) -> None:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        click.echo(f"{name}:")
        click.echo("".join(f"  {line}\n" for line in plain.table(value).splitlines()), nl=False)
    elif isinstance(value, dict) and value:
        known = {key: plain.cell(each) for key, each in value.items()}
        shown = ", ".join(f"{key.replace('_', ' ')}: {each}" for key, each in known.items() if each)
        click.echo(f"{name}: {shown or '-'}")
    else:
        click.echo(f"{name}: {plain.cell(value) or '-'}")
