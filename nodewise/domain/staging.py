"""Staging: candidates walk the nodes, one stage after the other, each held behind its gates. Pure.

The service itself is not touched here. What a look amounts to in the phases before it is written (``preparing``,
``staging``) is decided in this file; the order of the questions in each function is the policy.
"""

from __future__ import annotations

from dataclasses import replace

from nodewise.domain import approvals
from nodewise.domain.causes import Cause, Finding, begins, failed_step, failed_task, foreign, is_base, late
from nodewise.domain.causes import past_deadline as why_late
from nodewise.domain.chores import BEFORE, hook_runs, next_chore
from nodewise.domain.effects import MakeHelper
from nodewise.domain.helpers import candidate_spec, purpose_of
from nodewise.domain.model import OnFailure, Phase, Plan, Rollout, Seen
from nodewise.domain.steps import Step, StepState, walk_one
from nodewise.domain.swarm import ServiceView


def stage_of(rollout: Rollout) -> int | None:
    """The first stage that is not over; None when all are."""
    return min((s.stage for s in rollout.steps if not s.over), default=None)


def open_question(rollout: Rollout) -> str:
    """What a person has to approve before the rollout can go on from where it is; empty when nothing."""
    if rollout.plan is None:
        return ""
    if rollout.phase is Phase.PREPARING:
        ready = all(c.done for c in rollout.chores if c.name in ("disk", "prepull"))
        return approvals.WRITE if not rollout.plan.staged and ready and _missing(rollout, approvals.WRITE) else ""
    if rollout.phase is not Phase.STAGING:
        return ""
    stage = stage_of(rollout)
    begun = any(s.stage == stage and s.state is not StepState.WAITING for s in rollout.steps)
    what = approvals.WRITE if stage is None else approvals.after_stage(stage - 1) if stage and not begun else ""
    return what if what and _missing(rollout, what) else ""


def _missing(rollout: Rollout, what: str) -> bool:
    return approvals.missing(rollout, what)


def walked(rollout: Rollout, seen: Seen, now: float) -> Rollout:
    """The steps after one more look at the candidates."""
    assert rollout.plan is not None
    steps = tuple(_walked(step, rollout.plan, seen, now) for step in rollout.steps)
    return rollout if steps == rollout.steps else replace(rollout, steps=steps)


def _walked(step: Step, plan: Plan, seen: Seen, now: float) -> Step:
    helper = seen.helper(purpose_of(step))
    node = seen.nodes.get(step.node_id)
    if node is None or not node.takes_tasks:
        state = "gone" if node is None else node.availability if node.state == "ready" else node.state
        return step.to(StepState.SKIPPED, now, f"the node is {state}")
    if helper is None:
        return step.to(StepState.WAITING, now) if step.state is StepState.SKIPPED else step
    tasks = [t for t in helper.tasks if t.desired == "running"]
    if len(tasks) < step.size:
        return step.to(StepState.MOVING, now, "the candidate is being made")
    readings = [r for r in seen.readings if r.node_id == step.node_id]
    return walk_one(step, tasks, readings, plan.candidate_gates, plan.bake, now)


def detect_preparing(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    """Before anything moves: chores, and a person's approval where the service itself is written next."""
    stop = _stopped(rollout, plan, service, seen, now)
    if stop is not None:
        return stop
    before = [c for c in BEFORE if c != "before"]
    chore = next_chore(rollout, before, seen)
    question = "" if chore else open_question(rollout)
    if chore is None and not question:
        chore = next_chore(rollout, BEFORE, seen)
    if chore is not None and chore.cause is Cause.VETO:
        return chore
    if late(rollout, now):
        return Finding(Cause.VETO, f"{why_late(plan, rollout)}; it was at: {chore.reason if chore else 'its approval'}")
    if rollout.held:
        return Finding(Cause.HELD)
    if question:
        return _ask(rollout, plan, question, now)
    return chore or Finding(Cause.READY_TO_STAGE if plan.staged else Cause.READY_TO_WRITE)


def detect_staging(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    """Candidates, stage by stage. A breach turns it round while it waits or is held, too."""
    stop = _stopped(rollout, plan, service, seen, now)
    if stop is not None:
        return stop
    breach = _breach(rollout, plan, seen)
    if breach is None and late(rollout, now):
        breach = Finding(Cause.VETO, why_late(plan, rollout))
    if breach is not None:
        return _or_held(rollout, plan, breach)
    if rollout.held:
        return Finding(Cause.HELD)
    question = open_question(rollout)
    if question:
        return _ask(rollout, plan, question, now)
    stage = stage_of(rollout)
    if stage is None:
        return Finding(Cause.READY_TO_WRITE)
    return Finding(Cause.PROGRESS, effects=_candidates(rollout, stage, seen))


def _stopped(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding | None:
    """What ends it while the service is untouched. A newer one that may come to nothing by now is asked first."""
    if not is_base(plan, service):
        return Finding(Cause.FOREIGN_HAND, foreign(service))
    if rollout.abort:
        return Finding(Cause.ABORTED, f"aborted by {rollout.abort}")
    if not seen.newer or hook_runs(rollout):
        return None
    if not begins(seen, now):
        return Finding(Cause.WAY_FREE)
    return Finding(Cause.REPLACED, f"replaced by the newer {seen.newer}")


def _breach(rollout: Rollout, plan: Plan, seen: Seen) -> Finding | None:
    tasks = [t for h in seen.helpers if h.purpose.startswith("candidate.") for t in h.tasks]
    bad = {t.id: t for t in tasks if t.up_to_date and t.failed and t.id not in plan.failed_before}
    return failed_step(rollout.steps, tasks) or (failed_task(bad, seen) if bad else None)


def _or_held(rollout: Rollout, plan: Plan, breach: Finding) -> Finding:
    if plan.on_failure is OnFailure.ROLLBACK:
        return breach
    return Finding(Cause.HELD, rollout.held or f"{breach.reason} (on_failure: {plan.on_failure})", breach.task)


def _ask(rollout: Rollout, plan: Plan, what: str, now: float) -> Finding:
    if rollout.idle_since is not None and now > rollout.idle_since + plan.approval_deadline:
        return Finding(Cause.ABORTED, f"nobody approved {what} within {plan.approval_deadline:g} s")
    return Finding(Cause.HELD)


def _candidates(rollout: Rollout, stage: int, seen: Seen) -> tuple[MakeHelper, ...]:
    missing = [s for s in rollout.steps if s.stage == stage and not s.over and seen.helper(purpose_of(s)) is None]
    return tuple(MakeHelper(candidate_spec(rollout, step)) for step in missing)
