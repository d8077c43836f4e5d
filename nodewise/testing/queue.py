"""A queue in memory: ``nodewise.ports.Queue``, emptied by a driver loop. Runs nothing itself."""

from __future__ import annotations

import heapq
import itertools
from threading import Lock

from nodewise.domain.errors import RetryLater
from nodewise.domain.jobs import Job
from nodewise.ports import Clock


class MemoryQueue:
    """Keeps (due, Job). Like the real one it may hold the same job twice.

    ``away``: out of reach; every publish raises RetryLater.
    """

    def __init__(self, clock: Clock) -> None:
        self.away = False
        self._clock = clock
        self._heap: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()
        self._lock = Lock()

    def publish(self, job: Job, delay: float = 0.0) -> None:
        """Ask for *job* to be run in *delay* seconds. Raises RetryLater while the queue is away."""
        if self.away:
            raise RetryLater(f"the queue is out of reach for {job.verb} {job.subject}", "the sweep picks it up")
        with self._lock:
            heapq.heappush(self._heap, (self._clock.now() + delay, next(self._numbers), job))

    def take(self) -> Job | None:
        """The job that has been due longest, off the queue; None when none is due."""
        with self._lock:
            if not self._heap or self._heap[0][0] > self._clock.now():
                return None
            return heapq.heappop(self._heap)[2]

    @property
    def next_due(self) -> float | None:
        """When the next job is due; None for an empty queue."""
        with self._lock:
            return self._heap[0][0] if self._heap else None

    def wipe(self) -> list[Job]:
        """Lose everything, as a Redis without its data does. What was lost."""
        with self._lock:
            lost = [job for _, _, job in sorted(self._heap)]
            self._heap.clear()
        return lost

    def __len__(self) -> int:
        return len(self._heap)
