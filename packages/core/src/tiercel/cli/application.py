"""The application that is looked at: its functions are known once its modules are imported."""

from __future__ import annotations

import inspect
import os
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

APPLICATION: Final = "tiercel.cli.application"
"""Where a context keeps what `--app` said."""

VARIABLE: Final = "TIERCEL_APP"


class NotImportable(click.ClickException):
    """The application cannot be imported; says why."""

    exit_code = 2


def load_application(context: click.Context) -> None:
    """Import the application that was named, if any was.

    Raises:
        NotImportable: It cannot be imported.
    """
    named = context.meta.get(APPLICATION) or os.environ.get(VARIABLE) or _configured(Path.cwd())
    if not named:
        return
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    module, _, attribute = named.partition(":")
    try:
        found = _attribute(import_module(module), attribute)
        if inspect.isfunction(found):
            found()
    except Exception as error:
        raise NotImportable(
            f"the application {named!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _attribute(module: Any, path: str) -> Any:
    found = module
    for name in filter(None, path.removesuffix("()").split(".")):
        found = getattr(found, name)
    return found


def _configured(folder: Path) -> str | None:
    """Return `app` of `[tool.tiercel]` in the nearest pyproject.toml that has this table."""
    for each in (folder, *folder.parents):
        file = each / "pyproject.toml"
        if file.is_file():
            table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("tiercel")
            if table is not None:
                app: str | None = table.get("app")
                return app
    return None
