"""Nodes come, go, and change, and what that does to their tasks. Decides nothing about services.

The enforcer is here too: a task on an active node that no longer meets its service's constraints is rejected
(swarmkit, manager/orchestrator/constraintenforcer).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from nodewise.domain.placement import satisfies
from nodewise.domain.swarm import NodeView
from nodewise.testing.cluster import Cluster
from nodewise.testing.records import Node, TaskState

CPUS, MEMORY = 64.0, 256 << 30  # of a node, where nobody says otherwise
LOST_AFTER = 24 * 3600.0  # seconds: defaultNodeDownPeriod (swarmkit, manager/dispatcher)


class Membership:
    """The nodes of the swarm. ``changed`` is called after each change, ``back`` when one is reachable again."""

    def __init__(self, cluster: Cluster, changed: Callable[[Node], None], back: Callable[[Node], None]) -> None:
        self._cluster = cluster
        self._changed = changed
        self._back = back
        self._joined = 0

    def join(self, name: str, role: str, labels: Mapping[str, str], version: str, cpus: float, memory: int) -> NodeView:
        """A new node, ready and active."""
        self._joined += 1
        n = self._joined
        address = f"10.100.{n // 250}.{n % 250 + 1}"
        view = NodeView(self._cluster.new_id(), name, "ready", "active", address, role, dict(labels), version)
        node = Node(view, int(cpus * 1e9), memory)
        self._cluster.nodes[view.id] = node
        self._told(node, "create", {})
        return view

    def leave(self, node: Node) -> None:
        """Off the list of nodes, as ``docker node rm --force``: its tasks are orphaned."""
        del self._cluster.nodes[node.id]
        node.reachable = False
        tasks = list(node.tasks.values())
        node.view = replace(node.view, state="down")
        for task in tasks:
            self._cluster.release_waiting(task)
        self._told(node, "remove", {})
        for task in tasks:
            self._cluster.observe(task, TaskState.ORPHANED)

    def change(self, node: Node, view: NodeView) -> None:
        """Another state, availability, role, or other labels."""
        was, node.view = node.view, view
        if node.down and was.state != "down":
            node.reachable = False
            node.down_since = self._cluster.timeline.now
            self._cluster.timeline.after(LOST_AFTER, self._lost, node, node.down_since)
            for task in list(node.tasks.values()):
                self._cluster.release_waiting(task)
        told: dict[str, str] = {}
        for key in ("availability", "role", "state"):
            old, new = getattr(was, key), getattr(view, key)
            if old != new:
                told |= {f"{key}.old": old, f"{key}.new": new}
        self._told(node, "update", told)
        if view.availability == "active":
            self._enforce(node)
        if was.state == "down" and not node.down:
            node.reachable = True
            self._back(node)

    def _lost(self, node: Node, since: float) -> None:
        """A node that has been down for so long is not waited for: nobody knows what its tasks do."""
        if node.down and node.down_since == since:
            for task in list(node.tasks.values()):
                if task.state >= TaskState.ASSIGNED:
                    self._cluster.observe(task, TaskState.ORPHANED)

    def _told(self, node: Node, action: str, attributes: dict[str, str]) -> None:
        cluster = self._cluster
        cluster.node_changes += 1
        cluster.streams.tell(cluster.timeline.now, "node", action, node.id, {"name": node.view.name, **attributes})
        for told in cluster.ears.node:
            cluster.timeline.soon(told, node)
        cluster.timeline.soon(self._changed, node)

    def _enforce(self, node: Node) -> None:
        """By the constraints that the service has now, not by those that its task was made with."""
        for task in list(node.tasks.values()):
            if not TaskState.ASSIGNED <= task.desired <= TaskState.COMPLETE:
                continue
            if not satisfies(task.service.revision.constraints, node.view):
                self._cluster.observe(
                    task, TaskState.REJECTED, "assigned node no longer meets constraints", task.exit_code
                )
