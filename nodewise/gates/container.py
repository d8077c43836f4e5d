"""The container gate: every task of the new release on the node runs.

With a health check in the image or the service, Swarm says ``running`` only once it is healthy; without
one, as soon as the process has started (swarmkit, agent/exec/controller). A task that has failed is not
this gate's business: it is a veto of its own, with the task's error.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodewise.domain.steps import GatePlan, Reading, Verdict
from nodewise.domain.swarm import NodeView, TaskView


def read(gate: GatePlan, node: NodeView, tasks: Sequence[TaskView], now: float) -> Reading:
    """Pass when all of *tasks* run; inconclusive while one is on its way."""
    waiting = [t for t in tasks if not t.running]
    if waiting:
        return Reading(gate.name, node.id, Verdict.INCONCLUSIVE, f"task {waiting[0].state}", now, waiting[0].id)
    task_id = tasks[0].id if tasks else ""
    return Reading(gate.name, node.id, Verdict.PASS, f"{len(tasks)} running", now, task_id)
