"""Which node a task goes to, as swarmkit's scheduler decides it (manager/scheduler).

Filters first: ready, room, constraints, host ports, replicas per node. Of the nodes that are left the one that
runs fewest tasks of the service, then fewest of all; one where the service keeps failing comes last. A task
that fits nowhere stays pending, with the reason, for as long as it takes: there is no deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from nodewise.domain.placement import satisfies, takes_tasks
from nodewise.testing.cluster import Cluster
from nodewise.testing.ranking import Ranking
from nodewise.testing.records import Node, Task, TaskState

FEW = 32  # so many candidates are simply looked through
MANY_FAILURES, LOOKBACK = 5, 300.0  # swarmkit, scheduler.go: maxFailures within monitorFailures

Filter = Callable[[Task, Node], bool]


class Scheduler:
    """Places tasks in batches. ``assigned`` is told of every task that has got its node."""

    def __init__(self, cluster: Cluster, assigned: Callable[[Task], None]) -> None:
        self._cluster = cluster
        self._assigned = assigned
        self._ranking = Ranking()
        self._fresh: list[Task] = []
        self._stuck: dict[str, Task] = {}
        self._stuck_at: dict[str, dict[str, Task]] = {}  # tasks that are bound to one node, by node
        self._candidates: dict[tuple[str, ...], dict[Node, None]] = {}
        self._ticking = False
        cluster.ears.created.append(self._created)
        cluster.ears.desired.append(self._desired)
        cluster.ears.ended.append(self._ended)
        cluster.ears.removed.append(self._removed)
        cluster.ears.node.append(self._node_changed)

    # -- what is heard -------------------------------------------------------------------------------

    def _created(self, task: Task) -> None:
        self._fresh.append(task)
        self._tick_soon()

    def _desired(self, task: Task) -> None:
        if task.desired <= TaskState.COMPLETE:
            return
        if task.state < TaskState.ASSIGNED:
            self._fresh.append(task)
            self._tick_soon()
        elif task.counted:
            self._count(task, -1)

    def _ended(self, task: Task) -> None:
        node = task.node
        if node is None or node.tasks.pop(task.id, None) is None or not task.placed:
            return
        task.placed = False
        if task.state in (TaskState.FAILED, TaskState.REJECTED) and not task.preassigned:
            failures = node.failures.setdefault((task.service.id, task.revision), deque(maxlen=64))
            failures.append(self._cluster.timeline.now)
        if task.counted:
            self._count(task, -1)
        for port in task.revision.ports:
            if node.ports.get(port) == task.id:
                del node.ports[port]
        node.cpus += task.revision.cpus
        node.memory += task.revision.memory
        self._room_at(node)

    def _removed(self, task: Task) -> None:
        self._forget(task)
        if not task.has_ended:
            self._ended(task)

    def _node_changed(self, node: Node) -> None:
        self._candidates.clear()
        self._ranking.discard(node)
        if node.id in self._cluster.nodes:
            self._ranking.add(node)
            self._room_at(node)

    def _room_at(self, node: Node) -> None:
        """Something may fit on *node* that did not before."""
        if self._stuck or self._stuck_at.get(node.id):
            self._fresh += self._stuck_at.pop(node.id, {}).values()
            self._fresh += [t for t in self._stuck.values() if self._fits(t, node)]
            for task in self._fresh:
                self._stuck.pop(task.id, None)
            if self._fresh:
                self._tick_soon()

    # -- the tick ------------------------------------------------------------------------------------

    def _tick_soon(self) -> None:
        if not self._ticking:
            self._ticking = True
            self._cluster.timeline.after(self._cluster.pace.schedule, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        fresh, self._fresh = self._fresh, []
        fresh.sort(key=lambda t: not t.preassigned)
        for task in fresh:
            if task.state < TaskState.ASSIGNED and not task.off_record:
                self._schedule(task)

    def _schedule(self, task: Task) -> None:
        self._cluster.observe(task, TaskState.PENDING, task.error)
        if task.preassigned:
            self._confirm(task)
            return
        self._stuck.pop(task.id, None)
        if task.service.gone:
            return
        if task.desired > TaskState.COMPLETE:
            self._cluster.observe(task, TaskState.SHUTDOWN)
            return
        node = self._best(task)
        if node is None:
            self._stuck[task.id] = task
            self._cluster.annotate(task, f"no suitable node ({self._explain(task, self._cluster.nodes.values())})")
            return
        self._assign(task, node)

    def _confirm(self, task: Task) -> None:
        """A global service's task has its node already; it still has to fit there."""
        assert task.node is not None
        if task.node.id in self._cluster.nodes and self._fits(task, task.node):
            self._assign(task, task.node)
            return
        self._stuck_at.setdefault(task.node.id, {})[task.id] = task
        self._cluster.annotate(task, self._explain(task, [task.node]))

    def _assign(self, task: Task, node: Node) -> None:
        task.node, task.placed = node, True
        node.tasks[task.id] = task
        if task.desired <= TaskState.COMPLETE:
            self._count(task, 1)
        for port in task.revision.ports:
            node.ports[port] = task.id
        node.cpus -= task.revision.cpus
        node.memory -= task.revision.memory
        if task.revision.networked:
            task.address = f"10.200.{task.number // 250 % 250}.{task.number % 250 + 2}"
        self._cluster.observe(task, TaskState.ASSIGNED)
        self._assigned(task)

    def _count(self, task: Task, by: int) -> None:
        node = task.node
        assert node is not None
        task.counted = by > 0
        self._ranking.changed(node, by)
        count = node.active_by_service.get(task.service.id, 0) + by
        if count:
            node.active_by_service[task.service.id] = count
        else:
            node.active_by_service.pop(task.service.id, None)

    def _forget(self, task: Task) -> None:
        self._stuck.pop(task.id, None)
        if task.preassigned and task.node is not None and task.node.id in self._stuck_at:
            self._stuck_at[task.node.id].pop(task.id, None)

    # -- which node ----------------------------------------------------------------------------------

    def _best(self, task: Task) -> Node | None:
        """The least busy node that fits. Where none of the service's tasks is, nothing can be better."""
        candidates = self._candidates_of(task.revision.constraints)
        several = len(candidates) > FEW
        best: Node | None = None
        best_rank = (0, 0, 0)
        for node in self._ranking if several else candidates:
            if (several and node not in candidates) or not self._fits(task, node):
                continue
            rank = (self._failing(task, node), node.active_by_service.get(task.service.id, 0), node.active)
            if several and rank[:2] == (0, 0):
                return node
            if best is None or rank < best_rank:
                best, best_rank = node, rank
        return best

    def _candidates_of(self, constraints: tuple[str, ...]) -> dict[Node, None]:
        """Nodes that take tasks under these constraints; kept until any node changes."""
        found = self._candidates.get(constraints)
        if found is None:
            nodes = self._cluster.nodes.values()
            found = {n: None for n in nodes if takes_tasks(n.view) and satisfies(constraints, n.view)}
            self._candidates[constraints] = found
        return found

    def _failing(self, task: Task, node: Node) -> int:
        if not node.failures:
            return 0
        recent = node.failures.get((task.service.id, task.revision), ())
        after = self._cluster.timeline.now - LOOKBACK
        count = sum(at >= after for at in recent)
        return count if count >= MANY_FAILURES else 0

    def _fits(self, task: Task, node: Node) -> bool:
        return all(check(task, node) for check, _ in _FILTERS)

    def _explain(self, task: Task, nodes: Iterable[Node]) -> str:
        """In the scheduler's words: how many nodes the first filter that fails turns away, most first."""
        counts: dict[str, int] = {}
        for node in nodes:
            words = next((words for check, words in _FILTERS if not check(task, node)), None)
            if words is not None:
                counts[words] = counts.get(words, 0) + 1
        reasons = sorted(counts.items(), key=lambda item: -item[1])
        return "; ".join(words.format(f"{n} node{'s' if n > 1 else ''}") for words, n in reasons)


def _ready(_task: Task, node: Node) -> bool:
    return takes_tasks(node.view)


def _room(task: Task, node: Node) -> bool:
    return task.revision.cpus <= node.cpus and task.revision.memory <= node.memory


def _constraints(task: Task, node: Node) -> bool:
    return not task.revision.constraints or satisfies(task.revision.constraints, node.view)


def _ports(task: Task, node: Node) -> bool:
    return not any(port in node.ports for port in task.revision.ports)


def _max_replicas(task: Task, node: Node) -> bool:
    limit = task.revision.max_per_node
    return not limit or node.active_by_service.get(task.service.id, 0) < limit


_FILTERS: tuple[tuple[Filter, str], ...] = (
    (_ready, "{} not available for new tasks"),
    (_room, "insufficient resources on {}"),
    (_constraints, "scheduling constraints not satisfied on {}"),
    (_ports, "host-mode port already in use on {}"),
    (_max_replicas, "max replicas per node limit exceed"),
)
