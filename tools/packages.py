"""The distributions of this repository, as their pyproject.toml files describe them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from tools.environment import distributions


class Distribution(NamedTuple):
    """One folder of `packages` and what its pyproject.toml says."""

    path: Path
    document: dict[str, Any]

    @property
    def project(self) -> dict[str, Any]:
        """The table `[project]`."""
        table: dict[str, Any] = self.document["project"]
        return table

    @property
    def name(self) -> str:
        """The name it is installed by."""
        return str(self.project["name"])

    @property
    def module(self) -> str:
        """The name it is imported by."""
        return self.name.replace("-", "_")

    @property
    def source(self) -> Path:
        """The folder of the import package."""
        return self.path / "src" / self.module


def read_distributions() -> list[Distribution]:
    """Return every distribution, the core first."""
    return [_read(path) for path in distributions()]


def _read(path: Path) -> Distribution:
    text = (path / "pyproject.toml").read_text(encoding="utf-8")
    return Distribution(path, tomllib.loads(text))
