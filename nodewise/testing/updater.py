"""The native updater, after swarmkit's manager/orchestrator/update/updater.go: one run for one service.

It works on the slots as they were when it began, and so meets tasks that others have replaced meanwhile. What
it keeps in memory (which tasks are its own) is lost with it: a second update in the middle, or a new leader,
goes on with the rest but watches nothing that went before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from nodewise.testing.cluster import Cluster
from nodewise.testing.records import (
    COMPLETED,
    PAUSED,
    ROLLBACK_COMPLETED,
    ROLLBACK_PAUSED,
    ROLLBACK_STARTED,
    UPDATING,
    Service,
    Task,
    TaskState,
)
from nodewise.testing.starts import Starts
from nodewise.testing.timeline import Timer

IsDirty = Callable[[Task], bool]


@dataclass(frozen=True, slots=True)
class Was:
    """A task of a slot as it was when the run began."""

    task: Task
    desired: TaskState


Slot = list[Was]


class Updater:
    """One run. ``over`` once it has ended or was called off; ``completed`` where it has said so in the status."""

    def __init__(
        self, cluster: Cluster, starts: Starts, service: Service, is_dirty: IsDirty, ended: Callable[[], None]
    ) -> None:
        self._cluster = cluster
        self._starts = starts
        self._service = service
        self._is_dirty = is_dirty
        self._ended = ended
        self.revision = service.revision
        self._state = service.status.state if service.status else ""
        self._back = self._state == ROLLBACK_STARTED
        self._rules = self.revision.rollback if self._back else self.revision.update
        self._monitor = self._rules.monitor
        self._queue: deque[Slot] = deque()
        self._count = 0
        self._working = 0
        self._stopped = False  # by a failure: the rest stays as it is
        self._up: dict[str, float | None] = {}  # tasks of this run; None until they have come up
        self._failed: set[str] = set()
        self._unseen: list[Task] = []  # failures that come while the last workers finish
        self._monitoring = False
        self._timers: list[Timer] = []
        self.over = False
        self.completed = False  # by a write of its own

    # -- the run -------------------------------------------------------------------------------------

    def run(self, slots: list[Slot]) -> None:
        """Begin. Nothing to change leaves the status as it is: empty, after a write."""
        if self._state in (PAUSED, ROLLBACK_PAUSED):
            self._end()
            return
        self._queue.extend(s for s in slots if len(s) > 1 or self._is_dirty(s[0].task))
        self._count = len(self._queue)
        if not self._queue:
            if self._state in (UPDATING, ROLLBACK_STARTED):
                self._complete()
            self._end()
            return
        if not self._state:
            self._cluster.set_status(self._service, UPDATING, "update in progress")
        for _ in range(min(self._rules.parallelism or self._count, self._count)):
            self._working += 1
            self._take()

    def cancel(self) -> None:
        """Drop everything. Starts that were asked for still happen."""
        self.over = True
        for timer in self._timers:
            timer.cancel()

    def _take(self) -> None:
        """A worker takes the next slot, or goes home."""
        if self.over:
            return
        if self._queue:
            self._work(self._queue.popleft())
            return
        self._working -= 1
        if not self._working:
            self._all_done()

    def _rest(self) -> None:
        """A worker is done with a slot: it sleeps for the delay, after the last one too."""
        if self.over:
            return
        if self._rules.delay:
            self._after(self._rules.delay, self._take)
        else:
            self._cluster.timeline.soon(self._take)

    def _all_done(self) -> None:
        if self._stopped:
            self._end()
            return
        if self._rules.delay >= self._monitor:  # since 20.10.10: failures of the last slot would be missed
            self._monitor = self._rules.delay + 1.0
        self._monitoring = True
        self._after(self._monitor, self._monitored)
        unseen, self._unseen = self._unseen, []
        for task in unseen:
            if not self.over:
                self._judge(task)

    def _monitored(self) -> None:
        if not self.over:
            self._complete()
            self._end()

    def _end(self) -> None:
        self.cancel()
        self._ended()

    # -- one slot ------------------------------------------------------------------------------------

    def _work(self, slot: Slot) -> None:
        clean = [w for w in slot if not self._is_dirty(w.task)]
        running = next((w for w in clean if w.desired == TaskState.RUNNING), None)
        ready = next((w for w in reversed(clean) if w.desired < TaskState.RUNNING), None)
        existing = running or ready
        if existing is not None:
            self._keep(slot, existing)
        else:
            self._replace(slot)

    def _keep(self, slot: Slot, existing: Was) -> None:
        """A task of the new spec is there already: only the others have to go."""
        others = [w for w in slot if w is not existing]
        old, missed = self._remove(others)
        if (missed and old is None) or existing.desired == TaskState.RUNNING:
            self._rest()
            return
        self._starts.start_later(old, existing.task, 0.0, True, self._rest)

    def _replace(self, slot: Slot) -> None:
        if self._service.gone:
            self._rest()
            return
        start_first = self._rules.start_first
        if not start_first and not self._removable(slot):
            self._rest()  # all of it was replaced by others: the transaction fails, nothing is made
            return
        first = slot[0].task
        bound = first.node if self.revision.by_node else None
        new = self._cluster.add_task(self._service, self.revision, first.slot, bound, TaskState.READY)
        self._up[new.id] = None
        old = None if start_first else self._remove(slot)[0]
        self._starts.start_later(old, new, 0.0, not start_first, lambda: self._await_up(new, slot))

    def _await_up(self, new: Task, slot: Slot) -> None:
        """There is no deadline for this: a task that can not start is waited for for ever."""
        if self.over:
            return
        if new.state >= TaskState.RUNNING:
            self._came_up(new, slot)
        else:
            new.on_up.append(lambda: self._came_up(new, slot))

    def _came_up(self, new: Task, slot: Slot) -> None:
        if self.over:
            return
        self._up[new.id] = self._cluster.timeline.now
        if self._rules.start_first and new.state == TaskState.RUNNING:
            self._remove(slot)
        self._rest()

    def _removable(self, slot: Slot) -> bool:
        """Whether removing the slot's old tasks succeeds: some can be stopped, or none was meant to run."""
        wanted = [w for w in slot if w.desired <= TaskState.RUNNING]
        return not wanted or any(self._stoppable(w.task) for w in wanted)

    def _remove(self, slot: Slot) -> tuple[Task | None, bool]:
        """Stop the old tasks; one of them, and whether any was stopped by others before."""
        removed, missed = None, False
        for was in slot:
            if was.desired > TaskState.RUNNING:
                continue
            if self._stoppable(was.task):
                self._cluster.desire(was.task, TaskState.SHUTDOWN)
                removed = was.task
            else:
                missed = True
        return removed, missed

    def _stoppable(self, task: Task) -> bool:
        return not task.off_record and task.desired <= TaskState.RUNNING

    # -- failures ------------------------------------------------------------------------------------

    def task_ended(self, task: Task) -> None:
        """Some task of the service has ended. While the last workers finish nobody listens: it is seen after."""
        if self.over or self._stopped or task.id not in self._up or self._rules.action == "continue":
            return
        if self._queue or self._monitoring:
            self._judge(task)
        else:
            self._unseen.append(task)

    def _judge(self, task: Task) -> None:
        """A task of this run that ends before or within the monitor's time is a failure, once."""
        up = self._up[task.id]
        now = self._cluster.timeline.now
        if task.id in self._failed or not (up is None or now - up <= self._monitor):
            return
        self._failed.add(task.id)
        if len(self._failed) / self._count > self._rules.max_failure_ratio:
            self._fail(task.id)

    def _fail(self, task_id: str) -> None:
        action = self._rules.action
        self._queue.clear()
        if action == "rollback" and self._back:
            # Never roll back a rollback: it is called paused, but the run is not stopped, and ends "completed".
            self._pause(f"rollback paused due to failure or early termination of task {task_id}")
            self._finish_early()
            return
        self._stopped = True
        if action == "pause":
            self._pause(f"update paused due to failure or early termination of task {task_id}")
        else:
            self._roll_back(f"update rolled back due to failure or early termination of task {task_id}")
        self._finish_early()

    def _finish_early(self) -> None:
        """From monitoring the run ends at once; otherwise its workers finish what they have begun."""
        if self._monitoring and not self.over:
            if not self._stopped:
                self._complete()
            self._end()

    # -- the status ----------------------------------------------------------------------------------

    def _pause(self, message: str) -> None:
        status = self._service.status
        if status is not None and not self._service.gone:
            state = ROLLBACK_PAUSED if status.state == ROLLBACK_STARTED else PAUSED
            self._cluster.set_status(self._service, state, message)

    def _roll_back(self, message: str) -> None:
        """PreviousSpec becomes the spec, and is empty from then on. A status that was wiped: nothing happens."""
        service = self._service
        if service.status is None or service.previous is None or service.gone:
            return
        was = service.revision
        service.revision, service.previous = service.previous, None
        status_was = service.status
        service.status = type(status_was)(ROLLBACK_STARTED, message)
        self._cluster.wrote(service, was, status_was)

    def _complete(self) -> None:
        status = self._service.status
        if status is None or self._service.gone:
            return
        self.completed = True
        if status.state == ROLLBACK_STARTED:
            self._cluster.set_status(self._service, ROLLBACK_COMPLETED, "rollback completed")
        else:
            self._cluster.set_status(self._service, COMPLETED, "update completed")

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._timers.append(self._cluster.timeline.after(seconds, act))
