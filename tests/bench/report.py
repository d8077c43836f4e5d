"""How a benchmark tells its figures: a table while it runs, one line per bar at the end."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """One figure held against its bar. Smaller is better."""

    name: str
    figure: float
    unit: str
    bar: float

    @property
    def ok(self) -> bool:
        return self.figure <= self.bar

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "short"
        return f"{self.name}: {self.figure:.3g} {self.unit} (bar: {self.bar:g}) {verdict}"


def close(bars: Sequence[Bar]) -> int:
    """Print the bars; the exit code."""
    print()
    for bar in bars:
        print(bar)
    return 0 if all(b.ok for b in bars) else 1


def spread(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """Median, and from what to what."""
    return (
        f"median {statistics.median(values):.{digits}f} {unit}, "
        f"{min(values):.{digits}f} to {max(values):.{digits}f}, {len(values)} times"
    )
