"""Causes: the names of everything that a look can amount to, and the facts that are asked for in more than one phase.

Pure. What follows from a cause is not known here; which cause a look amounts to is decided in ``looks`` and
``staging``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nodewise.domain.effects import Effect
from nodewise.domain.model import Kind, OnFailure, Plan, Rollout, Seen
from nodewise.domain.release import digest_of, fingerprint, marked, same_spec
from nodewise.domain.steps import Step, StepState
from nodewise.domain.swarm import ServiceView, TaskView, image_of

NO_IMAGE = (
    " (an engine says so of a full disk, of missing credentials and of a registry that it does not reach as well)"
)

FRESH = 30.0  # seconds that what a newer deploy has found out, before it came to wait, is counted on

GOING_BACK = {"FailureAction": "continue"}  # Swarm must not turn round once more when an old task fails


class Cause(StrEnum):
    """What a look at the swarm amounts to."""

    READY_TO_WRITE = "ready to write"
    READY_TO_STAGE = "ready to stage"
    CHORES = "chores to do"
    MEMBER = "waits for its turn in the app"
    ALREADY_THERE = "already there"
    REFUSED = "refused"
    BUSY = "busy"
    FREED = "freed"
    REPLACED = "replaced"
    WAY_FREE = "free for a newer one"
    MAKE_WAY = "makes way for a newer one"
    WAY_MADE = "way made"
    NOT_WRITTEN = "not written yet"
    NODE_LOST = "lost a node"
    PROGRESS = "progress"
    HELD = "held"
    CONVERGED = "converged"
    TO_WATCH = "to be watched"
    VETO = "veto"
    FREEZE = "veto, to be left as it is"
    ABORTED = "aborted"
    TAKEN_BACK = "taken back as asked"
    EXPIRED = "expired"
    SWARM_TURNED_ROUND = "turned round by Swarm"
    FOREIGN_HAND = "changed by someone else"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Finding:
    """A named cause, the sentence that a person reads, the task that gave rise to it, and what to do meanwhile."""

    cause: Cause
    reason: str = ""
    task: TaskView | None = None
    effects: tuple[Effect, ...] = ()


def bad_tasks(tasks: Sequence[TaskView], plan: Plan) -> dict[str, TaskView]:
    """Tasks of the new release that ended by themselves since this rollout began, one for each place."""
    return {t.place: t for t in tasks if t.up_to_date and t.failed and t.id not in plan.failed_before}


def failed_step(steps: Sequence[Step], tasks: Sequence[TaskView]) -> Finding | None:
    """The veto of a gate, if one has failed."""
    for step in steps:
        if step.state is StepState.FAILED:
            task = next((t for t in tasks if t.id in step.tasks), None)
            return Finding(Cause.VETO, f"node {step.node}: {step.detail}", task)
    return None


def failed_task(bad: dict[str, TaskView], seen: Seen) -> Finding:
    """The veto of a task: the first one that failed."""
    task = min(bad.values(), key=lambda t: t.at)
    return Finding(Cause.VETO, _failure(task, seen), task)


def last_failure(seen: Seen) -> str:
    """Why what was to come up did not: the failed task that is the latest; empty where none has failed."""
    failed = [t for t in seen.tasks if t.up_to_date and t.failed]
    return f"; {_failure(max(failed, key=lambda t: t.at), seen)}" if failed else ""


def _failure(task: TaskView, seen: Seen) -> str:
    hint = NO_IMAGE if "No such image" in task.error else ""
    return f"task on node {_node(task, seen)} {task.state}: {task.error or 'no reason given'}{hint}"


def veto(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen) -> Finding | None:
    """What turns a deploy round: a gate, more failed tasks than the user tolerates, Swarm's own pause."""
    found = failed_step(rollout.steps, seen.tasks)
    if found is not None:
        return found
    bad = bad_tasks(seen.tasks, plan)
    total = max(1, len({t.place for t in seen.tasks if t.desired == "running"} | set(bad)))
    tolerated = float((service.spec.get("UpdateConfig") or {}).get("MaxFailureRatio") or 0.0)
    if bad and len(bad) / total > tolerated:
        return failed_task(bad, seen)
    if service.update_state == "paused":
        return Finding(Cause.VETO, f"Swarm paused the update: {service.update_message}", stuck(seen))
    return None


def as_asked(plan: Plan, found: Finding) -> Finding:
    """A veto once the service is written: taken back, or left as it is where the service says so."""
    if plan.on_failure is OnFailure.ROLLBACK:
        return found
    return Finding(Cause.FREEZE, f"{found.reason}; left as it is (on_failure: {plan.on_failure})", found.task)


def converged(rollout: Rollout, service: ServiceView, seen: Seen) -> bool:
    """Truth at the end: every running task is the new release, everywhere, and every gate holds."""
    if not all_up_to_date(service, seen):
        return False
    if rollout.kind is Kind.ROLLBACK:
        return True
    return all(s.over for s in rollout.steps) and service.update_state in ("", "completed")


def wanted_tasks(seen: Seen) -> list[TaskView]:
    """A new task waits as "ready" while the old one before it stops: it is wanted as well."""
    return [t for t in seen.tasks if t.desired in ("running", "ready")]


def left_behind(service: ServiceView, seen: Seen) -> list[TaskView]:
    """Old tasks of a global service on paused nodes: Swarm neither updates nor ends them (swarmkit, global.go)."""
    if service.replicas is not None:
        return []
    paused = {n.id for n in seen.nodes.values() if n.availability == "pause"}
    return [t for t in wanted_tasks(seen) if t.node_id in paused and not t.up_to_date]


def all_up_to_date(service: ServiceView, seen: Seen) -> bool:
    behind = {t.id for t in left_behind(service, seen)}
    wanted = [t for t in wanted_tasks(seen) if t.id not in behind]
    if not all(t.up_to_date and t.running and t.image.endswith(digest_of(service.spec)) for t in wanted):
        return False
    replicas = service.replicas
    return bool(wanted) if replicas is None else len({t.slot for t in wanted}) >= replicas


def lost_tasks(service: ServiceView, seen: Seen) -> frozenset[str]:
    """New tasks that were given up with their node before they ran: the update may wait for them without end.

    Swarm's updater has no deadline for a task to come up, and does not look at its node (swarmkit,
    manager/orchestrator/update/updater.go, updateTask). Empty where our last write has named them all: any
    other spec makes it begin again, with what is left to do.
    """
    if service.update_state != "updating":
        return frozenset()
    down = {n.id for n in seen.nodes.values() if n.state == "down"}
    lost = {t.id for t in seen.tasks if t.up_to_date and t.node_id in down and t.given_up}
    return frozenset(lost) if lost - service.lost else frozenset()


def is_base(plan: Plan, service: ServiceView) -> bool:
    """Whether the service still is as it was planned upon, or as the replaced rollout's late write has left it."""
    if plan.replaces and service.mark in (plan.replaces, f"{plan.replaces}/rollback"):
        return True
    return service.mark == plan.base_mark and fingerprint(service.spec) == plan.base_print


def as_taken_back(rollout: Rollout, plan: Plan, service: ServiceView) -> bool:
    """Whether nobody has changed anything but the scale since the write that put the snapshot back."""
    return same_spec(service.spec, marked(plan.base, rollout.back_mark, GOING_BACK))


def as_written(rollout: Rollout, plan: Plan, service: ServiceView) -> bool:
    """Whether nobody has changed anything but the scale since our write."""
    return same_spec(service.spec, marked(plan.target, rollout.mark, plan.update_config))


def swarm_turned(service: ServiceView, seen: Seen) -> Finding:
    """A native rollback. Swarm empties PreviousSpec when it turns round by itself; a person's swaps the two."""
    if service.previous_spec is not None or service.update_message.startswith("manually"):
        by_hand = "someone else rolled the service back natively (docker service update --rollback)"
        return Finding(Cause.FOREIGN_HAND, by_hand)
    task = stuck(seen)
    error = f": {task.error}" if task is not None and task.error else ""
    return Finding(Cause.SWARM_TURNED_ROUND, f"Swarm rolled back by itself: {service.update_message}{error}", task)


def stuck(seen: Seen) -> TaskView | None:
    """The task that tells most about why nothing moves: a failed one, else one that does not start."""
    candidates = [t for t in seen.tasks if t.failed] or [t for t in seen.tasks if t.up_to_date and not t.running]
    return max(candidates, key=lambda t: t.at, default=None)


def begins(seen: Seen, now: float) -> bool:
    """Whether the newer deploy that waits can be counted on: when it came to wait, nothing else stood in its way.

    That was only just now. Of one that has waited for longer it is not known any more: it has to look again.
    """
    return bool(seen.newer) and now - seen.newer_since <= FRESH


def late(rollout: Rollout, now: float) -> bool:
    """Whether the deadline has passed. It stands still while the rollout is held or waits for a person."""
    return rollout.deadline_at is not None and rollout.idle_since is None and now > rollout.deadline_at


def past_deadline(plan: Plan, rollout: Rollout) -> str:
    waiting = [f"{s.node} ({s.detail})" if s.detail else s.node for s in rollout.steps if not s.over]
    where = f"; not done: {', '.join(waiting)}" if waiting else ""
    return f"the deadline of {plan.deadline:g} s has passed{where}"


def not_back(plan: Plan, seen: Seen) -> str:
    """Where the release that was to be taken back still runs, or the one from before does not run yet."""
    open_ = [t for t in wanted_tasks(seen) if t.image != image_of(plan.base) or not t.running]
    told = sorted(f"{_node(t, seen)} ({t.image.partition('@')[0].rpartition('/')[2]} {t.state})" for t in open_)
    return f"; not back yet: {', '.join(told)}" if told else ""


def kept_there(service: ServiceView, seen: Seen) -> str:
    """The paused nodes that keep the release which was taken back everywhere else."""
    names = sorted(_node(t, seen) for t in left_behind(service, seen))
    return f"; paused, and left with the release that was taken back: {', '.join(names)}" if names else ""


def _node(task: TaskView, seen: Seen) -> str:
    return (seen.nodes[task.node_id].name if task.node_id in seen.nodes else task.node_id) or "?"


def foreign(service: ServiceView) -> str:
    return f"the service was changed by someone else meanwhile; it now runs {service.image or 'nothing'}"
