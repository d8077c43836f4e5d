"""What a look at the swarm amounts to: raw observation in, one named cause out. Pure.

The order of the questions in each function is the policy. What follows from a cause is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nodewise.domain.model import Kind, Phase, Plan, Rollout, Seen
from nodewise.domain.release import digest_of, fingerprint
from nodewise.domain.steps import StepState
from nodewise.domain.swarm import ServiceView, TaskView


class Cause(StrEnum):
    """What a look at the swarm amounts to."""

    PLANNED = "planned"
    ALREADY_THERE = "already there"
    REFUSED = "refused"
    BUSY = "busy"
    FREED = "freed"
    REPLACED = "replaced"
    NOT_WRITTEN = "not written yet"
    PROGRESS = "progress"
    CONVERGED = "converged"
    VETO = "veto"
    EXPIRED = "expired"
    SWARM_TURNED_ROUND = "turned round by Swarm"
    FOREIGN_HAND = "changed by someone else"


@dataclass(frozen=True, slots=True)
class Finding:
    """A named cause, the sentence that a person reads, and the task that gave rise to it."""

    cause: Cause
    reason: str = ""
    task: TaskView | None = None


def detect(rollout: Rollout, seen: Seen, now: float) -> Finding:
    """Name what is seen. The order of the questions is the policy."""
    plan, service = rollout.plan, seen.service
    assert plan is not None
    if service is None or service.id != rollout.service_id:
        return Finding(Cause.FOREIGN_HAND, f"the service {rollout.service} was removed in the middle")
    if rollout.phase is Phase.MOVING:
        return _detect_moving(rollout, plan, service, seen, now)
    if rollout.phase is Phase.ROLLING_BACK:
        return _detect_rolling_back(rollout, plan, service, seen, now)
    return _detect_swarm_rolling_back(rollout, plan, service, seen, now)


def _detect_moving(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    late = rollout.deadline_at is not None and now > rollout.deadline_at
    if service.mark != rollout.mark:
        if _is_base(plan, service):
            if service.update_state.startswith("rollback") and rollout.written_at is not None:
                return Finding(Cause.SWARM_TURNED_ROUND, *_why_swarm(service, seen))
            if late:
                return Finding(Cause.VETO, _deadline(plan, rollout))
            return Finding(Cause.NOT_WRITTEN)
        return Finding(Cause.FOREIGN_HAND, _foreign(service))
    if digest_of(service.spec) != digest_of(plan.target):
        return Finding(Cause.FOREIGN_HAND, _foreign(service))
    if _converged(rollout, service, seen):
        return Finding(Cause.CONVERGED)
    if rollout.kind is Kind.ROLLBACK:
        return Finding(Cause.EXPIRED, _deadline(plan, rollout)) if late else Finding(Cause.PROGRESS)
    veto = _veto(rollout, service, seen)
    if veto is None and late:
        veto = Finding(Cause.VETO, _deadline(plan, rollout), _stuck(seen))
    return veto or Finding(Cause.PROGRESS)


def _detect_rolling_back(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    if service.mark not in (rollout.mark, rollout.back_mark) and not _is_base(plan, service):
        return Finding(Cause.FOREIGN_HAND, _foreign(service))
    if rollout.deadline_at is not None and now > rollout.deadline_at:
        return Finding(Cause.EXPIRED, f"{rollout.reason}; and the rollback did not finish in {plan.deadline:g} s")
    if service.mark == rollout.mark:
        return Finding(Cause.NOT_WRITTEN)
    if service.mark != rollout.back_mark and service.update_state.startswith("rollback"):
        return Finding(Cause.SWARM_TURNED_ROUND, *_why_swarm(service, seen))
    return Finding(Cause.CONVERGED if _all_up_to_date(service, seen) else Cause.PROGRESS)


def _detect_swarm_rolling_back(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    if not _is_base(plan, service):
        return Finding(Cause.FOREIGN_HAND, _foreign(service))
    if service.update_state == "rollback_paused":
        # The snapshot is put back, but for a rollback of a person's own: a rollback is never rolled back.
        cause = Cause.VETO if rollout.kind is Kind.DEPLOY else Cause.EXPIRED
        return Finding(cause, f"Swarm paused its own rollback: {service.update_message}")
    if rollout.deadline_at is not None and now > rollout.deadline_at:
        return Finding(Cause.EXPIRED, f"{rollout.reason}; Swarm's rollback did not finish in {plan.deadline:g} s")
    return Finding(Cause.CONVERGED if _all_up_to_date(service, seen) else Cause.PROGRESS)


def _veto(rollout: Rollout, service: ServiceView, seen: Seen) -> Finding | None:
    """What turns a deploy round: a gate, more failed tasks than the user tolerates, Swarm's own pause."""
    for step in rollout.steps:
        if step.state is StepState.FAILED:
            return Finding(Cause.VETO, f"node {step.node}: {step.detail}", _task(seen, step.tasks))
    stale = rollout.plan.failed_before if rollout.plan else ()
    failed = {t.place: t for t in seen.tasks if t.up_to_date and t.failed and t.id not in stale}
    total = max(1, len({t.place for t in seen.tasks if t.desired == "running"} | set(failed)))
    tolerated = float((service.spec.get("UpdateConfig") or {}).get("MaxFailureRatio") or 0.0)
    if failed and len(failed) / total > tolerated:
        task = min(failed.values(), key=lambda t: t.at)
        node = seen.nodes[task.node_id].name if task.node_id in seen.nodes else task.node_id
        return Finding(Cause.VETO, f"task on node {node or '?'} {task.state}: {task.error or 'no reason given'}", task)
    if service.update_state == "paused":
        return Finding(Cause.VETO, f"Swarm paused the update: {service.update_message}", _stuck(seen))
    return None


def _converged(rollout: Rollout, service: ServiceView, seen: Seen) -> bool:
    """Truth at the end: every running task is the new release, everywhere, and every gate holds."""
    if not _all_up_to_date(service, seen):
        return False
    if rollout.kind is Kind.ROLLBACK:
        return True
    passed = all(s.state in (StepState.PASSED, StepState.SKIPPED) for s in rollout.steps)
    return passed and service.update_state in ("", "completed")


def _all_up_to_date(service: ServiceView, seen: Seen) -> bool:
    # A new task waits as "ready" while the old one before it stops: it is wanted as well.
    wanted = [t for t in seen.tasks if t.desired in ("running", "ready")]
    if not all(t.up_to_date and t.running and t.image.endswith(digest_of(service.spec)) for t in wanted):
        return False
    replicas = service.replicas
    return bool(wanted) if replicas is None else len({t.slot for t in wanted}) >= replicas


def _is_base(plan: Plan, service: ServiceView) -> bool:
    if plan.replaces and service.mark in (plan.replaces, f"{plan.replaces}/rollback"):
        return True
    return service.mark == plan.base_mark and fingerprint(service.spec) == plan.base_print


def _why_swarm(service: ServiceView, seen: Seen) -> tuple[str, TaskView | None]:
    """Swarm empties PreviousSpec when it turns round by itself; a person's --rollback swaps the two."""
    task = _stuck(seen)
    if service.previous_spec is not None or service.update_message.startswith("manually"):
        return "someone else rolled the service back natively (docker service update --rollback)", task
    error = f": {task.error}" if task is not None and task.error else ""
    return f"Swarm rolled back by itself: {service.update_message}{error}", task


def _stuck(seen: Seen) -> TaskView | None:
    """The task that tells most about why nothing moves: a failed one, else one that does not start."""
    candidates = [t for t in seen.tasks if t.failed] or [t for t in seen.tasks if t.up_to_date and not t.running]
    return max(candidates, key=lambda t: t.at, default=None)


def _task(seen: Seen, ids: tuple[str, ...]) -> TaskView | None:
    return next((t for t in seen.tasks if t.id in ids), None)


def _deadline(plan: Plan, rollout: Rollout) -> str:
    waiting = [s.node for s in rollout.steps if s.state not in (StepState.PASSED, StepState.SKIPPED)]
    where = f"; not done: {', '.join(waiting)}" if waiting else ""
    return f"the deadline of {plan.deadline:g} s has passed{where}"


def _foreign(service: ServiceView) -> str:
    return f"the service was changed by someone else meanwhile; it now runs {service.image or 'nothing'}"
