"""`tiercel plugins` and `tiercel doctor`."""

from __future__ import annotations

import click

from tiercel.cli.application import NotImportable, load_application
from tiercel.cli.common import WRONG, as_json, command
from tiercel.cli.output import show_rows
from tiercel.contracts.integration import Finding
from tiercel.inspection import examine_all
from tiercel.inspection import plain as plainly


@command("plugins", application=False)
@as_json
def plugins(as_json: bool) -> int:
    """List every plugin with its state.

    Exits with 1 if one is broken.
    """
    rows, code = plainly.plugins()
    if as_json:
        show_rows(rows, as_json=True)
    else:
        click.echo(plainly.plugin_table(rows), nl=False)
    return code


@command("doctor", application=False)
@as_json
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> int:
    """Look at everything that has to work, and say what to do.

    Configuration, versions, plugins; of each cache its connection, guarantee, clock and push
    channel; and what the framework adds. Exits with 1 if something is wrong.
    """
    findings = []
    try:
        load_application(context)
    except NotImportable as error:
        findings.append(Finding("application", "wrong", error.message, "correct --app"))
    findings += examine_all()
    show_rows(findings, as_json=as_json)
    return WRONG if any(each.state == "wrong" for each in findings) else 0
