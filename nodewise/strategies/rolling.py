"""rolling: one native service update, watched node by node, and turned round when a gate fails.

The order of the nodes is Swarm's. What stands between two nodes is the service's own UpdateConfig.Delay,
so it is raised, in that one update, where the gates need longer than it to pass or to veto. Parallelism,
order and failure ratio stay the user's. Who needs a true hold between nodes takes staged or cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodewise.domain.errors import UserError
from nodewise.domain.model import OnFailure
from nodewise.domain.steps import GatePlan, first_steps, time_to_pass
from nodewise.domain.swarm import NodeView, Spec
from nodewise.strategies import Cut, Terrain, at_port, published_port

SECOND = 1_000_000_000  # the Engine API counts in nanoseconds
MARGIN = 0.5  # seconds for the veto itself to be written
WHERE_NONE = {"Parallelism": 1, "FailureAction": "rollback", "Order": "stop-first"}
DEFAULT_MONITOR = 5 * SECOND  # docker/cli and swarmkit, where none is given


def plan(terrain: Terrain) -> Cut:
    """Cut the rollout of the spec. Raises UserError for a service that cannot be updated soundly."""
    refuse_unsound(terrain.spec)
    gates = tuple(at_port(g, published_port(terrain.spec)) for g in terrain.gates)
    config, notes = update_settings(terrain, gates)
    return Cut(first_steps(terrain.tasks, terrain.nodes), gates, config, notes)


def update_settings(terrain: Terrain, gates: Sequence[GatePlan]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is written over the user's UpdateConfig, and the notes that say so."""
    given = terrain.spec.get("UpdateConfig")
    config: dict[str, Any] = {} if given else dict(WHERE_NONE)
    notes = [] if given else ["no update settings given: one task at a time, stop-first, rollback on failure"]
    if terrain.on_failure is not OnFailure.ROLLBACK and (given or config).get("FailureAction") == "rollback":
        config["FailureAction"] = "pause"
        notes.append(f"failure action pause, since Swarm would roll back in spite of on_failure: {terrain.on_failure}")
    needed = time_to_pass(gates, terrain.bake)
    delay = int((given or {}).get("Delay") or 0)
    wanted = int((needed + MARGIN) * SECOND)
    if needed and delay < wanted:
        config["Delay"] = wanted
        notes.append(f"delay raised from {delay / SECOND:g} s to {wanted / SECOND:g} s: so long do the gates need")
    delay = config.get("Delay", delay)
    monitor = int((given or {}).get("Monitor") or DEFAULT_MONITOR)
    if delay >= monitor and _misses_failures(terrain.nodes):
        config["Monitor"] = delay + SECOND
        notes.append("monitor raised above the delay: engines before 20.10.10 miss failures otherwise")
    if given and int(given.get("Parallelism") or 0) == 0:
        notes.append("parallelism 0: Swarm replaces every task at once, no node is waited for")
    return config, tuple(notes)


def refuse_unsound(spec: Spec) -> None:
    """Raises UserError for what Swarm accepts and cannot carry out."""
    if (spec.get("RollbackConfig") or {}).get("FailureAction") == "rollback":
        raise UserError(
            "the service's rollback settings say: on failure, roll back",
            "Swarm accepts that and ends half-way; use pause or continue (docker service update"
            " --rollback-failure-action pause)",
            field="RollbackConfig.FailureAction",
        )
    order = (spec.get("UpdateConfig") or {}).get("Order")
    ports = (spec.get("EndpointSpec") or {}).get("Ports") or []
    fixed = [p.get("PublishedPort") for p in ports if p.get("PublishMode") == "host" and p.get("PublishedPort")]
    if order == "start-first" and fixed:
        raise UserError(
            f"start-first with the host port {fixed[0]}: the new task waits for ever for a port that the old one holds",
            "use stop-first (docker service update --update-order stop-first), or no fixed host port",
            field="UpdateConfig.Order",
        )


def _misses_failures(nodes: Mapping[str, NodeView]) -> bool:
    """moby PR 42875: fixed in 20.10.10. An unknown version counts as old."""
    versions = [n.engine_version for n in nodes.values() if n.role == "manager"]
    return any(_number(v) < (20, 10, 10) for v in versions)


def _number(version: str) -> tuple[int, ...]:
    parts = version.split("-")[0].split("+")[0].split(".")
    return tuple(int(p) for p in parts if p.isdigit())
