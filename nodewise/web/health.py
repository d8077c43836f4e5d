"""/healthz: the process is alive. /readyz: what it stands on. Both are open to everybody, and say no secrets.

Only the store makes the web process unready. A rollback must be taken in when swarm, queue and workers are
away, and nobody could ask for one if a load balancer took the process out then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, jsonify

from nodewise.answers.checks import Check, Patient, check_outbox, check_store, check_swarm, check_worker
from nodewise.bootstrap import Deps
from nodewise.domain.errors import RetryLater


def add_health(app: Flask, deps: Deps) -> None:
    """Add /healthz and /readyz."""
    swarm = Patient("swarm", lambda: check_swarm(deps))

    @app.route("/healthz")
    def healthz() -> Response:
        return jsonify(status="alive")

    @app.route("/readyz")
    def readyz() -> Response:
        store = check_store(deps)
        others = [_safely("worker", lambda: check_worker(deps)), _safely("outbox", lambda: check_outbox(deps)), swarm()]
        found = {c.name: _outward(c) for c in (store, *others)}
        answer = jsonify(ready=store.ok, checks=found)
        answer.status_code = 200 if store.ok else 503
        return answer


def _outward(check: Check) -> dict[str, Any]:
    """Anybody may read this: hosts, nodes and reasons are for 'nodewise doctor'."""
    if check.ok:
        return {"ok": True, "detail": check.detail}
    return {"ok": False, "detail": f"the {check.name} is not well; see 'nodewise doctor'"}


def _safely(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except RetryLater as error:
        return Check(name, False, error.what, error.hint)
