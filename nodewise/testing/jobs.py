"""Jobs: tasks that are to run to their end, once. After swarmkit's manager/orchestrator/jobs.

A job is looked at when it is written and when one of its tasks ends, and at no other time: a node that joins
gets its task only then. A task that failed and is not to be restarted leaves its place empty, and the next
look fills it again.
"""

from __future__ import annotations

from nodewise.domain.placement import satisfies, takes_tasks
from nodewise.testing.cluster import Cluster
from nodewise.testing.orchestrator import remove_all
from nodewise.testing.records import Service, Task, TaskState
from nodewise.testing.starts import Restarts, Starts


class Jobs:
    """Reconciles jobs, replicated and global.

    With *forgets*, the tasks of a job that was removed stay on record, and those that run go on running, until
    another manager leads: engines before 23.0.2 never told them (swarmkit 75e563b).
    """

    def __init__(self, cluster: Cluster, starts: Starts, restarts: Restarts, forgets: bool) -> None:
        self._cluster = cluster
        self._starts = starts
        self._restarts = restarts
        self._forgets = forgets
        self._forgotten: list[Service] = []
        cluster.ears.service.append(self._service_changed)
        cluster.ears.ended.append(self._ended)

    def _service_changed(self, service: Service) -> None:
        if not service.revision.job:
            return
        if service.gone and self._forgets:
            self._forgotten.append(service)
        elif service.gone:
            remove_all(self._cluster, service)
        else:
            self._cluster.timeline.after(self._cluster.pace.react, self._reconcile, service)

    def _ended(self, task: Task) -> None:
        if task.revision.job and task.desired <= TaskState.COMPLETE:
            self._reconcile(task.service)

    def new_leader(self) -> None:
        """Another manager leads: every job is looked at, and what nobody asks for any more is taken off."""
        forgotten, self._forgotten = self._forgotten, []
        for service in forgotten:
            for task in [t for here in service.places.values() for t in here]:
                self._cluster.remove_task(task)
        for service in list(self._cluster.services.values()):
            if service.revision.job:
                for task in [t for here in service.places.values() for t in here]:
                    if task.desired == TaskState.READY:
                        self._starts.start_later(None, task, 0.0, False)
                self._service_changed(service)

    def _reconcile(self, service: Service) -> None:
        if service.gone:
            return
        tasks = [t for here in service.places.values() for t in here]
        current = [t for t in tasks if t.iteration == service.iteration]
        if service.revision.by_node:
            self._fill_nodes(service, current)
        else:
            self._fill_slots(service, current)
        for task in current:
            if task.desired <= TaskState.COMPLETE and task.state > TaskState.COMPLETE:
                self._restarts.restart(task)
        for task in tasks:
            over = task.state > TaskState.RUNNING and not service.revision.by_node
            if task.iteration != service.iteration and not over:
                self._cluster.desire(task, TaskState.REMOVE)

    def _fill_slots(self, service: Service, current: list[Task]) -> None:
        """Unlike those of a service, a job's slots count from 0."""
        complete = [t for t in current if t.state == TaskState.COMPLETE]
        running = [t for t in current if t.state != TaskState.COMPLETE and t.desired <= TaskState.COMPLETE]
        revision = service.revision
        left = revision.completions - len(complete) - len(running)
        wanted = min(revision.at_once - len(running), left)
        taken = {t.slot for t in (*complete, *running)}
        free = [slot for slot in range(revision.completions) if slot not in taken]
        for slot in free[: max(0, wanted)]:
            self._cluster.add_task(service, revision, slot, None, TaskState.COMPLETE)

    def _fill_nodes(self, service: Service, current: list[Task]) -> None:
        served = {t.node for t in current if t.desired <= TaskState.COMPLETE}
        for node in list(self._cluster.nodes.values()):
            matches = satisfies(service.revision.constraints, node.view)
            if matches and takes_tasks(node.view) and node not in served:
                self._cluster.add_task(service, service.revision, 0, node, TaskState.COMPLETE)
        for task in current:
            node_of = task.node
            if node_of is not None and node_of.invalid and task.state <= TaskState.RUNNING:
                self._cluster.desire(task, TaskState.SHUTDOWN)
