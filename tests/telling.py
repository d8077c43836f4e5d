"""How a demonstration tells what happens: a line with its time for each thing, a table at the end. Asserts nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

out = Console(highlight=False, width=None if sys.stdout.isatty() else 130)


@dataclass
class Row:
    """One line of the summary. Times in seconds; ``first_task`` is None where nothing was started."""

    what: str
    how: str
    result: str
    first_task: float | None
    total: float
    asked: int = 0
    failed: int = 0


class Teller:
    """Times are counted from its making, by *now*. *unit* stands behind every one of them."""

    def __init__(self, now: Callable[[], float], unit: str = "s") -> None:
        self._now = now
        self._began = now()
        self._unit = unit

    def say(self, text: str) -> None:
        out.print(f"[dim]{self._now() - self._began:6.1f} {self._unit}[/]  {text}")

    def table(self, title: str, rows: list[Row]) -> Table:
        gap = "Every node is asked at its own port, and its one task stops before the next one starts: that gap fails."
        table = Table(title=title, title_justify="left", caption=gap, caption_justify="left")
        for name in ("what", "how it started", "result"):
            table.add_column(name)
        for name in ("push to first new task", "in all", "requests failed"):
            table.add_column(name, justify="right")
        for row in rows:
            first = "-" if row.first_task is None else f"{row.first_task:.2f} {self._unit}"
            failed = f"{row.failed} of {row.asked}" if row.asked else "-"
            table.add_row(row.what, row.how, row.result, first, f"{row.total:.1f} {self._unit}", failed)
        return table
