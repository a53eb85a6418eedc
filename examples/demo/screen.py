"""What the demo shows: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator

from crew import Report
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

ROWS = 15
WIDTHS = {"tier": 8, "time": 11}
COLOURS = {"HIT": "green", "MISS": "yellow", "STALE": "magenta", "REFRESH": "cyan", "ERROR": "red"}


class Screen:
    """Writes headings, calls and claims; remembers which claims were false."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self.false: list[str] = []

    @property
    def live(self) -> bool:
        """Whether somebody watches."""
        return self._console.is_terminal

    @property
    def pause(self) -> float:
        """Seconds between two calls of a process, so that eyes can follow."""
        return 0.1 if self.live else 0.0

    def heading(self, title: str, sentence: str) -> None:
        """Begin an act."""
        self._console.print(f"\n[bold]{escape(title)}[/]  {escape(sentence)}", soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Explain something."""
        self._console.print(f"  {escape(sentence)}", soft_wrap=True)

    def end(self, sentence: str) -> None:
        """Say the last word."""
        self._console.print(f"\n[bold]{escape(sentence)}[/]", soft_wrap=True)

    def claim(self, sentence: str, holds: bool) -> None:
        """State something that was checked."""
        mark = "[green]ok[/]   " if holds else "[bold red]FALSE[/]"
        self._console.print(f"  {mark} {escape(sentence)}", soft_wrap=True)
        if not holds:
            self.false.append(sentence)

    def calls(self, reports: Iterable[Report]) -> list[Report]:
        """Show calls as they are made and return them."""
        seen: list[Report] = []
        if not self.live:
            for report in reports:
                seen.append(report)
                self._console.print("  " + "  ".join(_cells(report)), soft_wrap=True)
            return seen
        with Live(console=self._console, refresh_per_second=20) as live:
            for report, shown in _window(reports, seen):
                del report
                live.update(Group(_table(shown), _summary(seen)))
        return seen


def _window(
    reports: Iterable[Report], seen: list[Report]
) -> Iterator[tuple[Report, Iterable[Report]]]:
    shown: deque[Report] = deque(maxlen=ROWS)
    for report in reports:
        seen.append(report)
        shown.append(report)
        yield report, shown


def _table(reports: Iterable[Report]) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for heading in ("process", "call", "status", "tier", "time", "result"):
        width = WIDTHS.get(heading)
        table.add_column(heading, justify="right" if heading == "time" else "left", min_width=width)
    for report in reports:
        style = COLOURS.get(report.status, "")
        table.add_row(*(Text(cell.strip()) for cell in _cells(report)), style=style)
    return table


def _summary(reports: Iterable[Report]) -> Text:
    counts = Counter(f"{report.status} {report.tier}" for report in reports)
    text = ", ".join(f"{count} {what.lower()}" for what, count in counts.most_common())
    return Text(f"  {counts.total()} calls: {text}\n", style="bold")


def _cells(report: Report) -> list[str]:
    result = f"{report.value.taxis} taxis" if report.value else report.error
    call = "taxis_needed({!r}, {!r})".format(*report.question)
    return [
        f"process {report.process}",
        f"{call:<36}",
        f"{report.status:<6}",
        f"{report.tier:<8}",
        f"{report.took * 1000:8.2f} ms",
        result,
    ]
