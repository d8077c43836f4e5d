"""Keeps the history of tasks short, after swarmkit's manager/orchestrator/taskreaper.

Five tasks are kept for each slot (or node), the running one included. Tasks that are to be removed go as soon
as they have stopped, or at once when no node has them yet.
"""

from __future__ import annotations

from nodewise.testing.cluster import Cluster
from nodewise.testing.records import Service, Task, TaskState


class Reaper:
    """Cleans up in batches."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._dirty: dict[tuple[Service, int | str], None] = {}
        self._cleanup: dict[str, Task] = {}
        self._ticking = False
        cluster.ears.created.append(self._created)
        cluster.ears.desired.append(self._changed)
        cluster.ears.ended.append(self._changed)

    def _created(self, task: Task) -> None:
        if not task.revision.job:
            self._dirty[task.service, task.place] = None
            self._tick_soon()

    def _changed(self, task: Task) -> None:
        done = task.state < TaskState.ASSIGNED or task.state >= TaskState.COMPLETE
        if task.desired == TaskState.REMOVE and done:
            self._cleanup[task.id] = task
            self._tick_soon()

    def _tick_soon(self) -> None:
        if not self._ticking:
            self._ticking = True
            self._cluster.timeline.after(self._cluster.pace.reap, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        cleanup, self._cleanup = self._cleanup, {}
        for task in cleanup.values():
            self._cluster.remove_task(task)
        dirty, self._dirty = self._dirty, {}
        for service, place in dirty:
            if not service.gone:
                self._trim(service, place)

    def _trim(self, service: Service, place: int | str) -> None:
        here = service.places.get(place, [])
        attempts = service.revision.max_attempts
        excess = len(here) - (attempts + 1 if attempts else self._cluster.history)
        if excess <= 0:
            return
        running = 0
        for task in sorted(here, key=lambda t: t.at):
            if task.has_ended or (task.state < TaskState.ASSIGNED and task.desired > TaskState.RUNNING):
                self._cluster.remove_task(task)
                excess -= 1
                if not excess:
                    break
            else:
                running += 1
        if running > 1:
            self._dirty[service, place] = None  # seen again at the next tick
