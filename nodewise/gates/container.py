"""The container gate: every task of the new release on the node runs, and none is in a restart loop.

With a health check in the image or the service, Swarm says ``running`` only once it is healthy; without
one, as soon as the process has started (swarmkit, agent/exec/controller). A container that turns unhealthy
later is killed and its task failed, with an error that says so: health needs no question of its own.
Whether one failed task is too much is not this gate's business: that is a veto by the service's failure ratio.
"""

from __future__ import annotations

from nodewise.domain.steps import GatePlan, Place, Reading, Verdict
from nodewise.domain.swarm import TaskView

RESTARTS = 3


def read(gate: GatePlan, place: Place) -> Reading:
    """Config: ``restarts``, how many restarts on the node are a loop. Inconclusive while a task is on its way."""
    waiting = next((t for t in place.tasks if not t.running), None)
    last = max(place.failed, key=lambda t: t.at, default=None)
    verdict, told = Verdict.PASS, waiting or next(iter(place.tasks), None)
    if waiting or not place.tasks:
        verdict = Verdict.INCONCLUSIVE
    if len(place.failed) >= int(gate.config.get("restarts", RESTARTS)):
        verdict, told = Verdict.FAIL, last
    detail = _detail(place, waiting, last, verdict)
    return Reading(gate.name, place.node.id, verdict, detail, place.now, told.id if told else "")


def _detail(place: Place, waiting: TaskView | None, last: TaskView | None, verdict: Verdict) -> str:
    running = sum(t.running for t in place.tasks)
    parts = [f"{running} running", *([f"one {waiting.state}"] if waiting else [])]
    if last is not None:
        count = len(place.failed)
        parts.append(f"{count} restart{'s' if count > 1 else ''}, the last for: {_error(last)}")
    return ("restart loop: " if verdict is Verdict.FAIL else "") + ", ".join(parts)


def _error(task: TaskView) -> str:
    return task.error or (task.state if task.exit_code is None else f"{task.state}, exit code {task.exit_code}")
