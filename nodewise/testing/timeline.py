"""Virtual time: what happens when, in order. Knows nothing of swarms.

Two kinds of acts: those of a later time, in a heap, and those of this very moment, in a queue that is emptied
first. So an act never runs inside another one, and the order is always the same.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

Act = Callable[..., None]


class Timer:
    """An act that is to come, and can be called off."""

    __slots__ = ("act", "args")

    def __init__(self, act: Act, args: tuple[Any, ...]) -> None:
        self.act: Act | None = act
        self.args = args

    def cancel(self) -> None:
        """Call it off. One that has happened stays so."""
        self.act = None


class Timeline:
    """Runs acts at their times. ``now`` is the time of the act that runs, in seconds since the epoch."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._heap: list[tuple[float, int, Timer]] = []
        self._soon: deque[tuple[Act, tuple[Any, ...]]] = deque()
        self._count = 0

    def after(self, seconds: float, act: Act, *args: Any) -> Timer:
        """Let *act* happen in *seconds*."""
        self._count += 1
        timer = Timer(act, args)
        heapq.heappush(self._heap, (self.now + seconds, self._count, timer))
        return timer

    def soon(self, act: Act, *args: Any) -> None:
        """Let *act* happen at this very time, after what runs now and what was asked for before."""
        self._soon.append((act, args))

    def run(self, until: float) -> None:
        """Let everything happen that is due by *until*, and be at that time then."""
        heap, soon = self._heap, self._soon
        while True:
            while soon:
                act, args = soon.popleft()
                act(*args)
            if not heap or heap[0][0] > until:
                break
            when, _, timer = heapq.heappop(heap)
            if timer.act is not None:
                self.now = when
                timer.act(*timer.args)
        self.now = max(self.now, until)
