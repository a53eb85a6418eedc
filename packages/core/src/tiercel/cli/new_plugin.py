"""`tiercel new-plugin`: a distribution that works, to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from tiercel.cli.common import MISUSED, Failure, as_json, command
from tiercel.inspection.plain import as_json as json_text
from tiercel.scaffold import kinds, new_plugin


@command("new-plugin", application=False)
@click.argument("kind", type=click.Choice(kinds()))
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where its folder is made; by default here.",
)
@as_json
def make_plugin(kind: str, name: str, into: Path, as_json: bool) -> None:
    """Make a plugin of your own that works, with its tests.

    NAME is what users will write: dispatcher="NAME", or for a backend NAME:// in a URL.
    """
    try:
        made = new_plugin(kind, name, into)
    except ValueError as error:
        raise Failure(str(error), MISUSED) from error
    if as_json:
        click.echo(json_text({"made": str(made)}), nl=False)
    else:
        click.echo(f"made {made}; next:\n  cd {made}\n  pip install -e '.[testing]'\n  pytest")
