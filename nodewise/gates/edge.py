"""The edge gate: the HAProxy in front takes the node's servers for well, and passes few errors on from them.

Any HAProxy, read by its runtime socket and never written to. A server is the node's when its name is the
node's, or its address is the node's or that of one of the tasks. The memo keeps the counters, so that each
reading is about what has gone through since the last one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass

from nodewise.domain.steps import GatePlan, Place, Reading, Verdict
from nodewise.gates._asking import Finding, reading
from nodewise.gates._haproxy import NoAnswer, Server, servers

MAX_ERRORS = 0.05


@dataclass(frozen=True, slots=True)
class Counted:
    """A server's counters at one reading. ``failing``: too many had failed when last there were requests."""

    requests: int
    errors: int
    failing: bool = False


def read(gate: GatePlan, place: Place) -> Reading:
    """Ask. Config: ``address``, ``backend``, ``max_errors`` (a share of the requests), ``timeout`` in seconds."""
    address, backend = str(gate.config["address"]), str(gate.config["backend"])
    try:
        found = servers(address, backend, float(gate.config.get("timeout", 2.0)))
    except NoAnswer as error:
        silent = Finding(Verdict.INCONCLUSIVE, f"HAProxy {address}, backend {backend}: {error}")
        return reading(gate, place, silent, memo=place.memo)
    here = [s for s in found if is_here(s, place)]
    if not here:
        nobody = f"HAProxy {address}: no server in backend {backend} has this node's name or address, or a task's"
        return reading(gate, place, Finding(Verdict.INCONCLUSIVE, nobody), memo=place.memo)
    before, bound = _recalled(place.memo), float(gate.config.get("max_errors", MAX_ERRORS))
    findings = {s: judge(f"{backend}/{s.name}", s, before.get(s.name), bound) for s in here}
    worst = max(findings.values(), key=lambda f: f.badness)
    return reading(gate, place, worst, memo=_memo(findings, before))


def is_here(server: Server, place: Place) -> bool:
    """Whether *server* is one of the place's."""
    addresses = {place.node.address, *(t.address for t in place.tasks)} - {""}
    return server.name == place.node.name or server.address in addresses


def judge(name: str, server: Server, before: Counted | None, max_errors: float) -> Finding:
    """What one server's state and counters amount to. Without counters from *before* the state alone counts.

    DOWN before the gate has passed once is a server that the edge has not taken up yet, and waited for, like an
    application that does not listen yet: HAProxy needs some checks in a row to see that the new task is there.
    """
    said = f"server {name} is {server.status}"
    if server.status.startswith("DOWN"):
        why = f" ({server.check})" if server.check else ""
        return Finding(Verdict.FAIL, said + why, reached=False)
    if server.status.startswith("UP "):  # UP 2/3
        return Finding(Verdict.INCONCLUSIVE, f"{said}: its health checks have begun to fail")
    if server.status not in ("UP", "no check"):
        return Finding(Verdict.INCONCLUSIVE, f"{said}: it takes no new requests")
    if before is None:
        return Finding(Verdict.PASS, f"{said}; its requests are counted from now on")
    return _judge_counters(said, server, before, max_errors)


def _judge_counters(said: str, server: Server, before: Counted, max_errors: float) -> Finding:
    requests, errors = server.requests - before.requests, server.errors - before.errors
    if requests < 0 or errors < 0:
        return Finding(Verdict.PASS, f"{said}; HAProxy's counters began anew, so do ours")
    if not requests and before.failing:  # silence breaks no row of failures
        return Finding(Verdict.INCONCLUSIVE, f"{said}, with no request since too many failed")
    if not requests:
        return Finding(Verdict.PASS, f"{said}, with no request since the last reading")
    share = errors / requests
    count = f"{errors} of {requests} requests failed since the last reading ({share:.3g}"
    if share > max_errors:
        return Finding(Verdict.FAIL, f"{said}, but {count}, more than {max_errors:g})")
    return Finding(Verdict.PASS, f"{said}, {count}, at most {max_errors:g})")


def _memo(findings: Mapping[Server, Finding], before: Mapping[str, Counted]) -> str:
    kept = {}
    for server, found in findings.items():
        earlier = before.get(server.name)
        bad = found.verdict is Verdict.FAIL and found.reached
        failing = bad or (found.verdict is not Verdict.PASS and earlier is not None and earlier.failing)
        kept[server.name] = astuple(Counted(server.requests, server.errors, failing))
    return json.dumps(kept, separators=(",", ":"))


def _recalled(memo: str) -> Mapping[str, Counted]:
    """The counters of the last reading; none when there was none."""
    return {name: Counted(*values) for name, values in json.loads(memo or "{}").items()}
