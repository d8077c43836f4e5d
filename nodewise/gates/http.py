"""The HTTP gate: an address answers with an allowed status.

``{node}`` in the URL is the node's address, ``{task}`` a task's address on its first network. With
``{task}`` every task of the node is asked, and the worst answer counts. Redirects are not followed:
a redirect is the answer.
"""

from __future__ import annotations

import requests

from nodewise.domain.steps import GatePlan, Place, Reading, Verdict
from nodewise.domain.swarm import NodeView, TaskView


def read(gate: GatePlan, place: Place) -> Reading:
    """Ask once. Config: ``url``, ``status`` (such as ``200-299,404``), ``timeout`` in seconds."""
    url = str(gate.config["url"])
    asked = place.tasks if "{task}" in url else place.tasks[:1]
    readings = [_ask(gate, place.node, task, url, place.now) for task in asked]
    return next((r for r in readings if r.verdict is not Verdict.PASS), readings[0])


def _ask(gate: GatePlan, node: NodeView, task: TaskView, url: str, now: float) -> Reading:
    url = url.replace("{node}", _host(node.address)).replace("{task}", _host(task.address))
    try:
        answer = requests.get(
            url,
            timeout=float(gate.config.get("timeout", 2.0)),
            allow_redirects=False,
            stream=True,
            headers={"User-Agent": "nodewise-gate", "Connection": "close"},
        )
    except requests.RequestException as error:
        detail = f"GET {url}: {_short(error)}"
        return Reading(gate.name, node.id, Verdict.FAIL, detail, now, task.id, reached=False)
    with answer:
        good = allowed(str(gate.config.get("status", "200-299")), answer.status_code)
    detail = f"GET {url}: {answer.status_code}"
    return Reading(gate.name, node.id, Verdict.PASS if good else Verdict.FAIL, detail, now, task.id)


def allowed(statuses: str, status: int) -> bool:
    """Whether *status* is in a list of numbers and ranges."""
    for part in statuses.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _short(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__
