"""What the pages of the documentation hold: blocks of code, links, and what code prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.environment import ROOT

LANGUAGES = frozenset({"console", "ini", "python", "text", "toml"})
"""What may stand behind a fence; `python` is run, the others are shown only."""

REDIS = re.compile(r"redis://localhost(?::6379)?(?=[/?\"'])")
"""A Redis in the pages: readers have one here, tests put one of their own in its place."""

_FENCE = re.compile(r"^```(\w*)")
_QUOTED = re.compile(r"^<!-- from (\S+) -->$")
_EXPECTED = re.compile(r"#> ?(.*)$")
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]+)[^)]*\)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: What stands behind the fence.
        line: The number of its first line.
        lines: Its lines.
        source: The file that it quotes; None if it is part of the page's own program.
    """

    language: str
    line: int
    lines: tuple[str, ...]
    source: Path | None = None

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Page:
    """One page of the documentation."""

    path: Path

    @property
    def name(self) -> str:
        """The path from the root of the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        """The whole page."""
        return self.path.read_text(encoding="utf-8")

    def blocks(self) -> list[Block]:
        """Return the fenced blocks in order."""
        return list(_blocks(self.text.splitlines()))

    def program(self) -> str:
        """Return the Python blocks as one program whose line numbers are those of the page.

        A block under `<!-- from PATH -->` is left out: it is run with the file that it quotes.
        """
        lines = [""] * len(self.text.splitlines())
        for block in self.blocks():
            if block.language == "python" and block.source is None:
                lines[block.line - 1 : block.line - 1 + len(block.lines)] = block.lines
        return "\n".join(lines).rstrip() + "\n"

    def output(self) -> list[str]:
        """Return what the program should print: the text behind each `#>`."""
        found = (_EXPECTED.search(line) for line in self.program().splitlines())
        return [match[1].rstrip() for match in found if match]

    def links(self) -> list[Path]:
        """Return the files that the page links to."""
        prose = re.sub(r"^```.*?^```", "", self.text, flags=re.MULTILINE | re.DOTALL)
        return [(self.path.parent / target).resolve() for target in _LINK.findall(prose)]


def all_pages() -> list[Page]:
    """Return every page that people read."""
    paths = [
        ROOT / "README.md",
        *ROOT.glob("packages/**/README.md"),
        *ROOT.glob("docs/**/*.md"),
    ]
    return [Page(path) for path in sorted(paths)]


def _blocks(lines: list[str]) -> Iterator[Block]:
    start, language, source = 0, "", None
    for number, line in enumerate(lines, start=1):
        fence = _FENCE.match(line)
        if fence and not start:
            start, language = number + 1, fence[1]
            quoted = _QUOTED.match(lines[number - 2]) if number > 1 else None
            source = ROOT / quoted[1] if quoted else None
        elif line.rstrip() == "```" and start:
            yield Block(language, start, tuple(lines[start - 1 : number - 1]), source)
            start = 0
