"""A clock that is moved by hand: ``nodewise.ports.Clock``. Knows nobody who looks at it."""

from __future__ import annotations


class ManualClock:
    """Stands still until it is advanced. Seconds since the epoch."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """The time now."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Move on by *seconds*; the time then. Raises ValueError for a step back."""
        if seconds < 0:
            raise ValueError(f"a clock does not run backwards: advance({seconds})")
        self._now += seconds
        return self._now

    def advance_to(self, when: float) -> float:
        """Move on to *when*; a time that has passed already changes nothing."""
        self._now = max(self._now, when)
        return self._now
