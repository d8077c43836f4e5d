"""The container gate: every task of the new release on the node runs.

With a health check in the image or the service, Swarm says ``running`` only once it is healthy; without
one, as soon as the process has started (swarmkit, agent/exec/controller). A task that has failed is not
this gate's business: it is a veto of its own, with the task's error.
"""

from __future__ import annotations

from nodewise.domain.steps import GatePlan, Place, Reading, Verdict


def read(gate: GatePlan, place: Place) -> Reading:
    """Pass when all tasks of the new release run; inconclusive while one is on its way."""
    waiting = [t for t in place.tasks if not t.running]
    if waiting:
        detail, task_id = f"task {waiting[0].state}", waiting[0].id
        return Reading(gate.name, place.node.id, Verdict.INCONCLUSIVE, detail, place.now, task_id)
    task_id = place.tasks[0].id if place.tasks else ""
    return Reading(gate.name, place.node.id, Verdict.PASS, f"{len(place.tasks)} running", place.now, task_id)
