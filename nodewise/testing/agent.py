"""What the nodes do with the tasks they are given: pull, start, watch, stop. Knows no service and no updater.

The order of the states and the words of the errors are those of swarmkit's agent and moby's executor
(agent/exec/controller.go, daemon/cluster/executor/container/controller.go).
"""

from __future__ import annotations

import math

from nodewise.testing.app import App
from nodewise.testing.cluster import Cluster
from nodewise.testing.records import Node, Task, TaskState
from nodewise.testing.revision import SECOND
from nodewise.testing.timeline import Act

KILLED = 137


class Agents:
    """The agents of all nodes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.ears.desired.append(self._desired_changed)

    def assigned(self, task: Task) -> None:
        """The scheduler has found a node for a task."""
        self._later(task, self._cluster.pace.dispatch, self._accept)

    def back(self, node: Node) -> None:
        """A node is reachable again: what its agent has missed happens now."""
        missed, node.missed = node.missed, []
        for act, task in missed:
            self._later(task, self._cluster.pace.dispatch, act)

    # -- on the way up -------------------------------------------------------------------------------

    def _accept(self, task: Task) -> None:
        self._cluster.observe(task, TaskState.ACCEPTED)
        self._cluster.observe(task, TaskState.PREPARING)
        node, pace = task.node, self._cluster.pace
        assert node is not None
        found = self._cluster.registry.found(task.revision.image)
        now = self._cluster.timeline.now
        if found is None:
            self._later(task, pace.check, self._prepared)
            return
        key, app = found
        task.app = self._cluster.registry.behaviour(app, task.revision.command)
        if key not in node.images and app.pullable and not self._cluster.registry.away:
            node.images[key] = now + app.pull
        self._later(task, max(pace.check, node.images.get(key, 0.0) - now), self._prepared)

    def _prepared(self, task: Task) -> None:
        node, found = task.node, self._cluster.registry.found(task.revision.image)
        assert node is not None
        if found is None or found[0] not in node.images:
            self._cluster.observe(task, TaskState.REJECTED, f"No such image: {task.revision.image}")
            return
        self._cluster.observe(task, TaskState.READY)
        if task.desired >= TaskState.RUNNING:
            self._later(task, self._cluster.pace.launch, self._launch)

    def _launch(self, task: Task) -> None:
        self._cluster.observe(task, TaskState.STARTING)
        self._later(task, self._cluster.pace.boot, self._begin)

    def _begin(self, task: Task) -> None:
        """The container's process begins."""
        assert task.app is not None
        task.started = self._cluster.timeline.now
        task.log = task.app.log
        exits, healthy = self._exits_after(task, task.app), self._healthy_after(task, task.app)
        if exits is not None and self._checked(task) and exits < healthy:
            self._later(task, exits, self._exit)
        elif self._checked(task) and task.app.unhealthy_after == 0:
            self._later(task, healthy, self._unhealthy)
        else:
            self._later(task, healthy, self._up)

    def _up(self, task: Task) -> None:
        assert task.app is not None
        assert task.started is not None
        self._cluster.observe(task, TaskState.RUNNING)
        since = self._cluster.timeline.now - task.started
        exits, sick = self._exits_after(task, task.app), task.app.unhealthy_after
        if not self._checked(task):
            sick = None
        if exits is not None and (sick is None or exits - since <= sick):
            self._later(task, max(0.0, exits - since), self._exit)
        elif sick is not None:
            self._later(task, sick, self._unhealthy)

    def _exits_after(self, task: Task, app: App) -> float | None:
        if app.exits_after is None and task.revision.job:
            return app.start
        return app.exits_after

    def _checked(self, task: Task) -> bool:
        test = task.revision.health.get("Test")
        if test:
            return bool(test[0] != "NONE")
        return task.app is not None and task.app.healthcheck

    def _healthy_after(self, task: Task, app: App) -> float:
        """Seconds from the process's start to RUNNING: at once without a health check."""
        if not self._checked(task):
            return 0.0
        interval = (task.revision.health.get("Interval") or 0) / SECOND
        return max(1, math.ceil(app.start / interval)) * interval if interval else app.start

    # -- and down ------------------------------------------------------------------------------------

    def _exit(self, task: Task) -> None:
        app = task.app
        assert app is not None
        task.log += app.last_words
        if app.exit_code == 0:
            self._cluster.observe(task, TaskState.COMPLETE, exit_code=0)
            return
        cause = f": {app.error}" if app.error else ""
        error = f"task: non-zero exit ({app.exit_code}){cause}"
        self._cluster.observe(task, TaskState.FAILED, error, app.exit_code)

    def _unhealthy(self, task: Task) -> None:
        error = f"task: non-zero exit ({KILLED}): dockerexec: unhealthy container"
        self._cluster.observe(task, TaskState.FAILED, error, KILLED)

    def _desired_changed(self, task: Task) -> None:
        node = task.node
        if node is None or task.state < TaskState.ASSIGNED or task.has_ended:
            return
        if task.desired >= TaskState.SHUTDOWN:
            self._later(task, self._cluster.pace.dispatch, self._stop)
        elif task.desired >= TaskState.RUNNING and task.state == TaskState.READY:
            self._later(task, self._cluster.pace.launch, self._launch)

    def _stop(self, task: Task) -> None:
        if task.has_ended:
            return
        if task.started is None or task.app is None:
            self._stopped(task)
            return
        gossip = self._cluster.pace.gossip if task.revision.networked else 0.0
        self._later(task, gossip + min(task.app.stop, task.revision.grace), self._stopped)

    def _stopped(self, task: Task) -> None:
        self._cluster.observe(task, TaskState.SHUTDOWN, exit_code=0 if task.started is not None else None)

    # -- time ----------------------------------------------------------------------------------------

    def _later(self, task: Task, seconds: float, act: Act) -> None:
        """One thing at a time happens to a task: what was to come before is called off."""
        if task.timer is not None:
            task.timer.cancel()
        task.timer = self._cluster.timeline.after(seconds, self._happen, task, act)

    def _happen(self, task: Task, act: Act) -> None:
        task.timer = None
        if task.has_ended or task.off_record:
            return
        if task.node is not None and not task.node.reachable:
            task.node.missed.append((act, task))
            return
        act(task)
