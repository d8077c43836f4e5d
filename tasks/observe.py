"""observe: everything that one decision needs, read once. Effects on nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from nodewise.bootstrap import Deps
from nodewise.domain.chores import wants_log
from nodewise.domain.helpers import CANDIDATE
from nodewise.domain.model import Helper, Kind, Phase, Rollout, Seen
from nodewise.domain.steps import GatePlan, Place, Reading, due_readings
from nodewise.domain.swarm import ROLLOUT_LABEL, NodeView, TaskView, image_of

AT_ONCE = 8  # gates asked at the same time
LOG_LINES = 200
_GATED = (Phase.MOVING, Phase.FINISHING, Phase.WATCHING)


def observe(deps: Deps, rollout: Rollout, newer: tuple[str, float] | None = None) -> Seen:
    """One look: the service first, so that "up to date" means a spec at least as new as the one seen."""
    asked = deps.aside.submit(deps.engine.nodes)
    service = deps.engine.service(rollout.service_id)
    helpers = _helpers(deps, rollout) if rollout.helpers else ()
    if service is None:
        return Seen(None, helpers=helpers)
    ids = [service.id, *(h.service.id for h in helpers)]
    tasks: dict[str, list[TaskView]] = {i: [] for i in ids}
    for task in deps.engine.tasks(ids):
        tasks.setdefault(task.service_id, []).append(task)
    nodes = {node.id: node for node in asked.result()}
    full = tuple(_with_logs(deps, rollout, Helper(h.service, tuple(tasks[h.service.id]))) for h in helpers)
    own = tuple(tasks[service.id])
    readings: tuple[Reading, ...] = ()
    if service.mark == rollout.mark and rollout.phase in _GATED and rollout.kind is Kind.DEPLOY:
        assert rollout.plan is not None
        readings = _read_gates(deps, rollout, rollout.plan.gates, own, nodes)
    elif rollout.phase is Phase.STAGING:
        assert rollout.plan is not None
        candidates = [t for h in full if h.purpose.startswith(CANDIDATE) for t in h.tasks]
        readings = _read_gates(deps, rollout, rollout.plan.candidate_gates, candidates, nodes)
    return Seen(
        service=service,
        tasks=own,
        nodes=nodes,
        readings=readings,
        helpers=full,
        newer=newer[0] if newer else "",
        newer_since=newer[1] if newer else 0.0,
    )


def _helpers(deps: Deps, rollout: Rollout) -> tuple[Helper, ...]:
    """The services that this rollout has made: they bear its mark, and a purpose."""
    marked = deps.engine.services(f"{ROLLOUT_LABEL}={rollout.id}")
    return tuple(Helper(view) for view in marked if view.helper)


def _with_logs(deps: Deps, rollout: Rollout, helper: Helper) -> Helper:
    ended = wants_log(rollout, helper)
    if not ended:
        return helper
    logs = {t.id: deps.engine.task_logs(t.id, LOG_LINES) for t in ended}
    return Helper(helper.service, helper.tasks, logs)


def _read_gates(
    deps: Deps,
    rollout: Rollout,
    gates: Sequence[GatePlan],
    tasks: Sequence[TaskView],
    nodes: Mapping[str, NodeView],
) -> tuple[Reading, ...]:
    """Ask every gate that is due, side by side: one slow node must not hold up the others."""
    now = deps.clock.now()
    due = [(g, nodes[n]) for g, n in due_readings(rollout.steps, tasks, gates, now) if n in nodes]

    def read(pair: tuple[GatePlan, NodeView]) -> Reading:
        plan, node = pair
        return deps.read_gate(plan, _place(rollout, plan, node, tasks, now))

    if len(due) < 2 or all(g.name == "container" for g, _ in due):
        return tuple(map(read, due))
    with ThreadPoolExecutor(min(AT_ONCE, len(due))) as pool:
        return tuple(pool.map(read, due))


def _place(rollout: Rollout, gate: GatePlan, node: NodeView, tasks: Sequence[TaskView], now: float) -> Place:
    assert rollout.plan is not None
    here = [t for t in tasks if t.node_id == node.id and t.up_to_date]
    step = next((s for s in rollout.steps if s.node_id == node.id), None)
    return Place(
        node=node,
        tasks=tuple(t for t in here if t.desired == "running"),
        now=now,
        service=rollout.service,
        rollout_id=rollout.id,
        image=image_of(rollout.plan.target),
        failed=tuple(t for t in here if t.failed and t.id not in rollout.plan.failed_before),
        memo=step.streak(gate.name).memo if step else "",
    )
