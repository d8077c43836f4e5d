"""Services that go on: as many tasks as they ask for, on the spec that they have now.

After swarmkit's manager/orchestrator/replicated and global. Hands changed slots to the updater, ended tasks to
the restart policy. Jobs are in jobs.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodewise.domain.placement import satisfies
from nodewise.testing.cluster import Cluster
from nodewise.testing.records import ROLLBACK_STARTED, Node, Service, Task, TaskState
from nodewise.testing.revision import Revision
from nodewise.testing.starts import Restarts, Starts
from nodewise.testing.updater import Updater, Was


class Orchestrator:
    """Reconciles a service after every write to it, and a node's services after every change of the node."""

    def __init__(self, cluster: Cluster, starts: Starts, restarts: Restarts) -> None:
        self._cluster = cluster
        self._starts = starts
        self._restarts = restarts
        self._updaters: dict[str, Updater] = {}
        cluster.ears.service.append(self._service_changed)
        cluster.ears.ended.append(self._ended)
        cluster.ears.removed.append(self._removed)

    # -- what is heard -------------------------------------------------------------------------------

    def _service_changed(self, service: Service) -> None:
        if service.revision.job:
            return
        if service.gone:
            updater = self._updaters.pop(service.id, None)
            if updater is not None:
                updater.cancel()
            remove_all(self._cluster, service)
        elif not service.awaits_reconcile:
            service.awaits_reconcile = True
            self._cluster.timeline.after(self._cluster.pace.react, self._reconcile, service)

    def _ended(self, task: Task) -> None:
        service = task.service
        updater = self._updaters.get(service.id)
        if updater is not None:
            updater.task_ended(task)
        if service.gone or service.revision.job or task.desired > TaskState.RUNNING:
            return
        if service.revision.by_node:
            self._restart_on_node(service, task)
        else:
            self._restarts.restart(task)

    def _restart_on_node(self, service: Service, task: Task) -> None:
        node = task.node
        if node is None or node.id not in self._cluster.nodes or node.invalid:
            return
        if node.view.availability == "pause" or not satisfies(service.revision.constraints, node.view):
            self._cluster.desire(task, TaskState.SHUTDOWN)
        else:
            self._restarts.restart(task)

    def _removed(self, task: Task) -> None:
        if not task.service.gone and task.desired <= TaskState.RUNNING:
            self._service_changed(task.service)

    # -- reconciling ---------------------------------------------------------------------------------

    def _reconcile(self, service: Service) -> None:
        service.awaits_reconcile = False
        if service.gone:
            return
        if service.revision.by_node:
            self._reconcile_global(service)
        else:
            self._reconcile_replicated(service)

    def _reconcile_replicated(self, service: Service) -> None:
        running: dict[int, list[Task]] = {}
        dead: list[int] = []
        for place, tasks in service.places.items():
            updatable = self._updatable(service, tasks)
            if updatable:
                running[int(place)] = updatable
            else:
                dead.append(int(place))
        wanted = service.revision.replicas
        slots = list(running.values())
        self._cluster.rng.shuffle(slots)  # a Go map has no order
        if wanted < len(slots):
            slots = _most_balanced(slots)
            for slot in slots[wanted:]:
                for task in slot:
                    self._cluster.desire(task, TaskState.REMOVE)
        self._update(service, slots[:wanted])
        filled = self._add_missing(service, running, wanted)
        for place in dead:
            for task in list(service.places.get(place, ())) if place not in filled else ():
                self._cluster.remove_task(task)

    def _add_missing(self, service: Service, running: dict[int, list[Task]], wanted: int) -> set[int]:
        """New tasks in the lowest free slots, running at once: scaling is no update."""
        free = (slot for slot in range(1, wanted + len(running) + 1) if slot not in running)
        filled = {next(free) for _ in range(wanted - len(running))}
        for slot in sorted(filled):
            self._cluster.add_task(service, service.revision, slot, None, TaskState.RUNNING)
        return filled

    def _reconcile_global(self, service: Service) -> None:
        here = {p: u for p, tasks in service.places.items() if (u := self._updatable(service, tasks))}
        slots = []
        nodes = [n for n in self._cluster.nodes.values() if not n.invalid]
        self._cluster.rng.shuffle(nodes)
        for node in nodes:
            tasks = here.pop(node.id, [])
            if not satisfies(service.revision.constraints, node.view):
                self._shut_down(tasks)
            elif node.view.availability == "pause":
                continue
            elif tasks:
                slots.append(tasks)
            else:
                self._cluster.add_task(service, service.revision, 0, node, TaskState.RUNNING)
        for tasks in here.values():
            self._shut_down(tasks)
        if slots:
            self._update(service, slots)

    def _updatable(self, service: Service, tasks: Sequence[Task]) -> list[Task]:
        """What the updater gets of a place: what is to run, or the last one where nothing is restarted."""
        wanted = [t for t in tasks if t.desired <= TaskState.RUNNING]
        if wanted or not tasks:
            return wanted
        if service.status is not None and service.status.state == ROLLBACK_STARTED:
            return []
        newest = max(tasks, key=lambda t: t.at)
        return [] if self._restarts.should_restart(newest, service) else [newest]

    def _shut_down(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._cluster.desire(task, TaskState.SHUTDOWN)

    # -- updates -------------------------------------------------------------------------------------

    def _update(self, service: Service, slots: list[list[Task]]) -> None:
        """An update that works towards the very same spec already is left to it; another one is called off."""
        running = self._updaters.get(service.id)
        if running is not None:
            if service.revision.same_spec(running.revision):
                return
            running.cancel()
        updater = Updater(
            self._cluster,
            self._starts,
            service,
            lambda task: not up_to_date(task, updater.revision),
            lambda: self._update_over(service, updater),
        )
        self._updaters[service.id] = updater
        updater.run([[Was(t, t.desired) for t in slot] for slot in slots])

    def _update_over(self, service: Service, updater: Updater) -> None:
        """The run goes off the list: before its own last write is heard of, or only after. Nobody knows which.

        Heard of after, that write starts another run for whatever the first one has left as it was, silently
        and with the update's settings. On 20.10 both happen (a rollback that failed, see the contract suite).
        """
        if not updater.completed or self._cluster.rng.random() < 0.5:
            self._strike(service, updater)
        else:
            self._cluster.timeline.after(2 * self._cluster.pace.react, self._strike, service, updater)

    def _strike(self, service: Service, updater: Updater) -> None:
        if self._updaters.get(service.id) is updater:
            del self._updaters[service.id]

    # -- nodes and leaders ---------------------------------------------------------------------------

    def node_changed(self, node: Node) -> None:
        """Down, drained, labelled, back: tasks leave it or come to it. This is no update, and shows no status."""
        if node.id not in self._cluster.nodes:
            self._forget_node(node)
        elif node.invalid:
            for task in list(node.tasks.values()):
                if task.service.gone or task.revision.job or task.desired > TaskState.RUNNING:
                    continue
                if task.revision.by_node:
                    self._cluster.desire(task, TaskState.SHUTDOWN)
                else:
                    self._restarts.restart(task)
        elif node.view.availability != "pause":
            for service in self._global_services():
                if satisfies(service.revision.constraints, node.view):
                    self._reconcile_on_node(service, node)

    def _global_services(self) -> list[Service]:
        return [s for s in self._cluster.services.values() if s.revision.by_node and not s.revision.job]

    def _forget_node(self, node: Node) -> None:
        """A node that is no more has no history: what was bound to it goes off the record."""
        for service in self._global_services():
            for task in list(service.places.get(node.id, ())):
                self._cluster.remove_task(task)

    def _reconcile_on_node(self, service: Service, node: Node) -> None:
        tasks = self._updatable(service, service.places.get(node.id, ()))
        clean = [t for t in tasks if up_to_date(t, service.revision)]
        if not clean:
            self._cluster.add_task(service, service.revision, 0, node, TaskState.RUNNING)
        self._shut_down([t for t in tasks if t not in clean[:1]])

    def new_leader(self) -> None:
        """Another manager leads: what was only in memory is gone, and every service is looked at again."""
        for updater in self._updaters.values():
            updater.cancel()
        self._updaters.clear()
        self._starts.cancel_all()
        for service in list(self._cluster.services.values()):
            if service.revision.job:
                continue
            for tasks in list(service.places.values()):
                for task in tasks:
                    self._fix(task)
            self._service_changed(service)

    def _fix(self, task: Task) -> None:
        if task.desired <= TaskState.RUNNING and task.has_ended:
            self._ended(task)
        elif task.desired == TaskState.READY:
            left = task.at + task.revision.restart_delay - self._cluster.timeline.now
            self._starts.start_later(None, task, max(0.0, left), False)


def up_to_date(task: Task, revision: Revision) -> bool:
    """swarmkit's IsTaskDirty, the other way round."""
    if task.revision is revision:
        return True
    node = task.node
    pulled = task.desired <= TaskState.RUNNING and TaskState.READY <= task.state <= TaskState.RUNNING
    satisfied = node is not None and satisfies(revision.constraints, node.view)
    return revision.same_task(task.revision, pulled, satisfied)


def remove_all(cluster: Cluster, service: Service) -> None:
    """The service is gone, and its tasks go."""
    for tasks in list(service.places.values()):
        for task in tasks:
            cluster.desire(task, TaskState.REMOVE)


def _most_balanced(slots: list[list[Task]]) -> list[list[Task]]:
    """Which slots stay when a service shrinks, first to last: running ones, and few to a node."""
    slots = sorted(slots, key=lambda s: (not any(t.state == TaskState.RUNNING for t in s), s[0].slot))
    seen: dict[str, int] = {}
    ranked = []
    for slot in slots:
        node = slot[0].node
        if len(slot) == 1 and node is not None:
            seen[node.id] = seen.get(node.id, 0) + 1
            ranked.append((0, seen[node.id], slot))
        else:
            ranked.append((1, 0, slot))
    return [slot for *_, slot in sorted(ranked, key=lambda r: r[:2])]
