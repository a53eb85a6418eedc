"""The group that all commands belong to."""

from __future__ import annotations

import click

from tiercel.cli.application import APPLICATION


@click.group(
    name="tiercel",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--app",
    metavar="MODULE[:NAME]",
    help="The application to import, so that its functions are known. By default TIERCEL_APP, or "
    "`app` in [tool.tiercel] of pyproject.toml.",
)
@click.version_option(package_name="tiercel", prog_name="tiercel")
@click.pass_context
def group(context: click.Context, app: str | None) -> None:
    """Look after Tiercel's caches.

    Exit codes: 0 done; 1 the answer is no, something is wrong or failed; 2 the command line is
    wrong; 3 the shared tier does not answer.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        context.exit(2)
    if app is not None:
        context.meta[APPLICATION] = app
