"""Delayed starts and restarts of tasks, after swarmkit's restart supervisor (manager/orchestrator/restart).

A new task is made with the desired state READY: it is placed and pulled, and waits. It may start when its delay
is over and the task that it replaces has stopped; that is waited for for a minute, no longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from nodewise.testing.cluster import Cluster
from nodewise.testing.records import Service, Task, TaskState
from nodewise.testing.timeline import Timer

OLD_TASK_TIMEOUT = 60.0  # seconds: defaultOldTaskTimeout

Done = Callable[[], None]


class _Delay:
    """One start that is to come."""

    def __init__(self, elapsed: bool, stopped: bool) -> None:
        self.elapsed = elapsed
        self.stopped = stopped
        self.over = False
        self.has_waiter = False
        self.then: list[Done] = []
        self.timers: list[Timer] = []


class Starts:
    """The starts that are to come, by task."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._delays: dict[str, _Delay] = {}
        cluster.ears.removed.append(lambda task: self.cancel(task.id))

    def start_later(self, old: Task | None, new: Task, seconds: float, wait: bool, then: Done | None = None) -> None:
        """Let *new* start after *seconds*, and with *wait* not before *old* has stopped. *then* hears of it."""
        self.cancel(new.id)
        waits = wait and old is not None and not old.has_ended
        delay = _Delay(elapsed=not seconds, stopped=not waits)
        self._delays[new.id] = delay
        if then is not None:
            delay.then.append(then)
        after = self._cluster.timeline.after
        if seconds:
            delay.timers.append(after(seconds, self._mark, new, delay, "elapsed"))
        if waits and old is not None:
            old.on_end.append(lambda: self._mark(new, delay, "stopped"))
            delay.timers.append(after(OLD_TASK_TIMEOUT, self._mark, new, delay, "stopped"))
        if delay.elapsed and delay.stopped:
            self._cluster.timeline.soon(self._mark, new, delay, "elapsed")

    def _mark(self, new: Task, delay: _Delay, what: str) -> None:
        setattr(delay, what, True)
        if delay.over or not (delay.elapsed and delay.stopped):
            return
        self._end(new.id, delay)
        self.start_now(new)

    def start_now(self, task: Task) -> None:
        if not task.off_record:
            wanted = TaskState.RUNNING if task.iteration is None else TaskState.COMPLETE
            self._cluster.desire(task, wanted)

    def cancel(self, task_id: str) -> None:
        """Call a start off. Whoever waited for it goes on."""
        delay = self._delays.get(task_id)
        if delay is not None:
            self._end(task_id, delay)

    def cancel_all(self) -> None:
        """A leader that steps down forgets them."""
        for task_id, delay in list(self._delays.items()):
            delay.then.clear()
            self._end(task_id, delay)

    def wait_for(self, task: Task, then: Done) -> bool:
        """Whether *task*'s own start is still to come; *then* is called after it, once however often asked."""
        delay = self._delays.get(task.id)
        if delay is None:
            return False
        if not delay.has_waiter:
            delay.has_waiter = True
            delay.then.append(then)
        return True

    def _end(self, task_id: str, delay: _Delay) -> None:
        delay.over = True
        for timer in delay.timers:
            timer.cancel()
        if self._delays.get(task_id) is delay:
            del self._delays[task_id]
        for then in delay.then:
            self._cluster.timeline.soon(then)


class Restarts:
    """The restart policy. A new task is always made from the service's *current* spec."""

    def __init__(self, cluster: Cluster, starts: Starts) -> None:
        self._cluster = cluster
        self._starts = starts

    def restart(self, task: Task) -> None:
        """Replace a task that has ended, or that is to leave its node, if the policy says so."""
        service = task.service
        if not task.wanted or task.desired > TaskState.COMPLETE:
            return
        # The start of the task itself is still to come: wait for it, or a missing image would loop tightly.
        if self._starts.wait_for(task, lambda: self._restart_after_start(task)):
            return
        self._cluster.desire(task, TaskState.SHUTDOWN)
        if not self.should_restart(task, service):
            return
        node = task.node
        bound = node if service.revision.by_node else None
        new = self._cluster.add_task(service, service.revision, task.slot, bound, TaskState.READY)
        self._record(service, new)
        drained = node is not None and node.view.availability == "drain"
        wait = not (task.has_ended or (node is not None and node.down))
        self._starts.start_later(task, new, 0.0 if drained else task.revision.restart_delay, wait)

    def _restart_after_start(self, task: Task) -> None:
        if task.desired <= TaskState.RUNNING:
            self.restart(task)

    def should_restart(self, task: Task, service: Service) -> bool:
        """By the policy of the task's own spec. A job that has completed never starts again."""
        revision = task.revision
        if revision.condition == "none":
            return False
        lasting = revision.condition == "any" and not service.revision.job
        if not lasting and task.state == TaskState.COMPLETE:
            return False
        if not revision.max_attempts:
            return True
        counted = service.restarts.get(task.place)
        if counted is None or counted[0] is not revision:
            return True
        attempts = counted[1]
        if revision.window:
            after = task.at - revision.window
            return sum(after < at < task.at for at in attempts) < revision.max_attempts
        return len(attempts) < revision.max_attempts

    def _record(self, service: Service, new: Task) -> None:
        if not new.revision.max_attempts:
            return
        counted = service.restarts.get(new.place)
        if counted is None or counted[0] is not new.revision:
            counted = service.restarts[new.place] = (new.revision, deque())
        counted[1].append(new.created)
