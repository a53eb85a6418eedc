"""Renders a new distribution for a plugin of somebody's own: `tiercel new-plugin`.

A template is a distribution that works, called `example`; rendering gives it another name. Its
files end with `.tmpl`, so that no tool takes them for modules or tests of this distribution. What
templates have in common is in `every`, with the kind of plugin in braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TEMPLATES: Final = Path(__file__).parent / "templates"
EVERY: Final = "every"
SUFFIX: Final = ".tmpl"

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def kinds() -> list[str]:
    """Return the kinds of plugins that there are templates for."""
    found = sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir())
    return [name for name in found if name != EVERY]


def new_plugin(kind: str, name: str, into: Path) -> Path:
    """Make a distribution that works, with its tests, for a plugin of your own.

    Args:
        kind: One of `kinds`.
        name: What users will write, as in `dispatcher="NAME"`: lower-case letters, digits and
            single underscores; for a backend, which is the scheme of a URL, no underscores.
        into: Where the folder of the distribution will lie.

    Returns:
        That folder.

    Raises:
        ValueError: The name cannot be one, there is no such kind, or the folder exists.
    """
    if kind not in kinds():
        raise ValueError(f"there is no template for a {kind!r}; there are: {', '.join(kinds())}")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be the name of a plugin: use lower-case letters, digits and "
            "underscores, a letter first"
        )
    if kind == "backend" and "_" in name:
        raise ValueError(f"{name!r} cannot be the scheme of a URL: leave the underscores out")
    target = into / f"tiercel-{name.replace('_', '-')}"
    if target.exists():
        raise ValueError(f"{target} exists already")
    said = {"{kind}": kind.replace("_", " "), "{group}": f"{kind}s"}
    for template in (TEMPLATES / EVERY, TEMPLATES / kind):
        _copy(template, target, name, said if template.name == EVERY else {})
    return target


def _copy(template: Path, target: Path, name: str, said: Mapping[str, str]) -> None:
    for path in sorted(template.rglob(f"*{SUFFIX}")):
        text = path.read_text(encoding="utf-8")
        for blank, word in said.items():
            text = text.replace(blank, word)
        copy = target / _renamed(str(path.relative_to(template)).removesuffix(SUFFIX), name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(_renamed(text, name), encoding="utf-8")


def _renamed(text: str, name: str) -> str:
    """Return a text of a template with the name of the plugin in it."""
    text = text.replace("tiercel-example", f"tiercel-{name.replace('_', '-')}")
    text = text.replace("Example", "".join(part.capitalize() for part in name.split("_")))
    return text.replace("example", name)
