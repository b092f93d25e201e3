"""Progress for people: a live table on a terminal, now and then a line in a pipe."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

#: In a pipe a table's line is repeated at most this often, and when it is done [s].
LINE_EVERY_S = 5.0
#: On a terminal all is redrawn at most this often [s].
REDRAW_EVERY_S = 0.125
#: Up to so many of a unit of time, the smaller unit says more.
FEW = 1.5


@dataclass(frozen=True, slots=True)
class TableProgress:
    """One table's line: counts of keys; `seconds` is the time since the start, for rate and ETA."""

    table: str
    total: int
    made: int
    failed: int = 0
    running: int = 0
    seconds: float = 0.0
    #: Keys that were there at the start: they say nothing about the rate.
    made_before: int = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self.made + self.failed >= self.total

    @property
    def rate(self) -> float:
        """Keys per second since the start."""
        return (self.made - self.made_before) / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta(self) -> str:
        """How long the rest takes at this rate."""
        left = self.total - self.made - self.failed
        return f"ETA {span(left / self.rate)}" if left > 0 and self.rate > 0 else ""

    def __str__(self) -> str:
        """Return the line as plain text."""
        percent = 100 * (self.made + self.failed) // self.total if self.total else 100
        failed = f"  {self.failed} failed" if self.failed else ""
        running = f"  {self.running} running" if self.running else ""
        rate = f"  {self.rate:.3g}/s" if self.rate else ""
        eta = f"  {self.eta}" if self.eta else ""
        return f"{self.table} [{percent:3d}%] {self.made}/{self.total}{failed}{running}{rate}{eta}"


class Display(Protocol):
    """Something that shows progress."""

    def show(self, rows: Sequence[TableProgress]) -> None:
        """Show the state of all tables."""
        ...

    def __enter__(self) -> Display:
        """Begin."""
        ...

    def __exit__(self, *raised: object) -> None:
        """End; what was shown last stays."""
        ...


class Silent:
    """Shows nothing."""

    def show(self, rows: Sequence[TableProgress]) -> None:
        """Do nothing."""

    def __enter__(self) -> Silent:
        """Begin."""
        return self

    def __exit__(self, *raised: object) -> None:
        """End."""


@dataclass
class Lines:
    """One line per table, when it is done and every few seconds before: for pipes and CI."""

    console: Console
    _last: dict[str, tuple[float, tuple[int, int, int]]] = field(
        default_factory=dict[str, tuple[float, tuple[int, int, int]]]
    )

    def show(self, rows: Sequence[TableProgress]) -> None:
        """Write the lines that are worth it."""
        now = time.monotonic()
        for row in rows:
            at, before = self._last.get(row.table, (-LINE_EVERY_S, (0, 0, 0)))
            counts = (row.made, row.failed, row.total)
            has_news = row.is_done or now - at >= LINE_EVERY_S
            if counts != before and has_news and row.total:
                self._last[row.table] = (now, counts)
                self.console.print(str(row), markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Lines:
        """Begin."""
        return self

    def __exit__(self, *raised: object) -> None:
        """End."""


class LiveTable:
    """All tables at once, redrawn in place: for terminals and notebooks."""

    def __init__(self, console: Console) -> None:
        # A thread that redraws would hold its locks while a child process is forked.
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._drawn = -REDRAW_EVERY_S

    def show(self, rows: Sequence[TableProgress]) -> None:
        """Redraw, if that was not done just now."""
        now = time.monotonic()
        is_due = now - self._drawn >= REDRAW_EVERY_S
        self._drawn = now if is_due else self._drawn
        self._live.update(_grid(rows), refresh=is_due)

    def __enter__(self) -> LiveTable:
        """Begin."""
        self._live.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        """End; the last state stays on the screen."""
        self._live.refresh()
        self._live.stop()


def open_display(*, wanted: bool = True, file: TextIO | None = None) -> Display:
    """Return the display that fits where the output goes."""
    if not wanted:
        return Silent()
    console = Console(file=file)
    if console.is_terminal or console.is_jupyter:
        return LiveTable(console)
    return Lines(console)


def leave_display() -> None:
    """Print beside the parent's display from now on, in a process that was forked under it."""
    if isinstance(sys.stdout, FileProxy):
        sys.stdout = cast("TextIO", sys.stdout.rich_proxied_file)
    if isinstance(sys.stderr, FileProxy):
        sys.stderr = cast("TextIO", sys.stderr.rich_proxied_file)


def _grid(rows: Sequence[TableProgress]) -> RenderableType:
    grid = Grid.grid(padding=(0, 2))
    for row in rows:
        grid.add_row(
            Text(row.table, style="bold"),
            ProgressBar(total=max(row.total, 1), completed=row.made + row.failed, width=30),
            Text(f"{row.made}/{row.total}", justify="right"),
            Text(f"{row.failed} failed" if row.failed else "", style="red"),
            Text(f"{row.running} running" if row.running else "", style="cyan"),
            Text(f"{row.rate:.3g}/s" if row.rate else "", style="dim"),
            Text(row.eta, style="dim"),
        )
    return Group(grid)


def span(seconds: float) -> str:
    """Return a duration as people say it: `40 s`, `12 min`, `3.5 h`."""
    minutes = seconds / 60
    if minutes < FEW:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 60 * FEW else f"{minutes / 60:.1f} h"
