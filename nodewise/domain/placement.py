"""Which nodes a service may run on: its placement constraints against the nodes as observed.

Swarm's own rules (swarmkit, manager/constraint): ``==`` and ``!=``, names and values without regard to case,
the name of a label with it; a label that is not there counts as empty. Knows no resources, ports or limits:
a node that is eligible may still be full.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nodewise.domain.swarm import NodeView, Spec

_LABELS = "node.labels."


def eligible(spec: Spec, nodes: Iterable[NodeView]) -> list[NodeView]:
    """The nodes that take new tasks of *spec*: ready, active, and every constraint holds.

    What cannot be told from a node's view (``node.platform.*``, ``engine.labels.*``, ``node.ip``) counts as
    satisfied.
    """
    constraints = constraints_of(spec)
    return [n for n in nodes if takes_tasks(n) and satisfies(constraints, n)]


def constraints_of(spec: Spec) -> tuple[str, ...]:
    """Placement.Constraints as they stand in the spec."""
    placement = (spec.get("TaskTemplate") or {}).get("Placement") or {}
    return tuple(placement.get("Constraints") or ())


def takes_tasks(node: NodeView) -> bool:
    """Ready and active: neither down, nor drained, nor paused."""
    return node.state == "ready" and node.availability == "active"


def satisfies(constraints: Sequence[str], node: NodeView) -> bool:
    """Whether *node* meets all of *constraints*."""
    return all(_holds(c, node) for c in constraints)


def _holds(constraint: str, node: NodeView) -> bool:
    equal = "==" in constraint
    key, found, wanted = constraint.partition("==" if equal else "!=")
    value = _value(key.strip(), node)
    if not found or value is None:
        return True
    return (value.casefold() == wanted.strip().casefold()) is equal


def _value(key: str, node: NodeView) -> str | None:
    """What the node has under *key*; None where a view cannot tell."""
    lowered = key.lower()
    if lowered.startswith(_LABELS):
        return node.labels.get(key[len(_LABELS) :], "")
    return {"node.id": node.id, "node.hostname": node.name, "node.role": node.role}.get(lowered)
