"""Gates on the simulated swarm: ``ports.ReadGate``. HTTP is answered by what an App says it answers.

Every other gate is the real one. Nothing here opens a connection.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from nodewise import gates
from nodewise.domain.steps import GatePlan, Place, Reading, Verdict
from nodewise.gates.http import allowed

Answer = Callable[[str, str], int | None]


def read(plan: GatePlan, place: Place, answer: Answer) -> Reading:
    """One reading. *answer*: the status of a task (by id) at a path; None where nothing answers."""
    if plan.name != "http":
        return gates.read(plan, place)
    url = str(plan.config["url"])
    asked = place.tasks if "{task}" in url else place.tasks[:1]
    readings = [_ask(plan, place, task.id, task.address, url, answer) for task in asked]
    return next((r for r in readings if r.verdict is not Verdict.PASS), readings[0])


def _ask(plan: GatePlan, place: Place, task_id: str, address: str, url: str, answer: Answer) -> Reading:
    node = place.node
    url = url.replace("{node}", node.address).replace("{task}", address)
    status = answer(task_id, urlsplit(url).path or "/")
    if status is None:
        detail = f"GET {url}: no connection"
        return Reading(plan.name, node.id, Verdict.FAIL, detail, place.now, task_id, reached=False)
    good = allowed(str(plan.config.get("status", "200-299")), status)
    verdict = Verdict.PASS if good else Verdict.FAIL
    return Reading(plan.name, node.id, verdict, f"GET {url}: {status}", place.now, task_id)
