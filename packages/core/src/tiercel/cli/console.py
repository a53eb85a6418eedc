"""The command that serves the console by itself."""

from __future__ import annotations

import click

from tiercel.cli.common import MISUSED, Failure, command


@command("console")
@click.option("--host", default="127.0.0.1", show_default=True, help="The interface.")
@click.option("--port", default=8787, show_default=True, help="0 for any that is free.")
@click.option("--actions", is_flag=True, help="Have buttons that drop, refresh and clear.")
@click.option("--show-values", is_flag=True, help="Show the values of entries.")
def console(host: str, port: int, actions: bool, show_values: bool) -> None:
    """Serve the web console on this machine, until interrupted.

    It prints the address, which cannot be guessed: whoever knows it may look.
    """
    try:
        from tiercel.console.standalone import StandaloneConsole
    except ImportError as error:
        raise Failure(str(error), MISUSED) from error
    try:
        server = StandaloneConsole(host, port, actions=actions, show_values=show_values)
    except OSError as error:
        raise Failure(f"port {port} of {host} cannot be used: {error}", MISUSED) from error
    click.echo(f"console at {server.url} (Ctrl+C ends it)")
    try:
        server.serve()
    except KeyboardInterrupt:
        click.echo()
