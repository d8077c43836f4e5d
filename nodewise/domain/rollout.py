"""The rollout: its phases, the one table of transitions, and the one pure function that decides.

Theory
======
A rollout moves one service from one release to another by writing the service *once*. Before that it may do chores
(``preparing``) and walk candidates over the nodes (``staging``); after it, it only looks: at the service, its tasks
and the gates' readings. Each look is turned into exactly one *cause* (``detect``), the table says which phase
follows, and ``decide`` adds what has to be done about it.

Who the spec in the swarm belongs to is told by a label, the *mark*: ours forward, ours on the way back, or
somebody else's. That makes every write recognisable after a lost answer, and every crash harmless: the
next look sees that the swarm is not there yet, and the same effect is asked for again.

A rollout that has made services of its own takes one detour on the way to its ending, whichever that is: it is
``clearing`` until they are gone. By then it holds the service no longer.

A rollback that a person asked for is a rollout as well, of another kind: no gate can turn it round.
A rollback is never rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nodewise.domain.causes import GOING_BACK, Cause, Finding, lost_tasks, wanted_tasks
from nodewise.domain.chores import with_chores
from nodewise.domain.effects import Effect, KeepEvidence, MakeHelper, RemoveHelper, WriteSpec
from nodewise.domain.errors import NodewiseError
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.looks import detect, unwanted
from nodewise.domain.model import ACTIVE, COMING, TERMINAL, Kind, Phase, Plan, Rollout, Seen
from nodewise.domain.release import keeping_scale, marked, without_lost
from nodewise.domain.staging import open_question, walked
from nodewise.domain.steps import Step, next_reading, walk
from nodewise.domain.swarm import ServiceView, Spec

__all__ = [
    "ACTIVE",
    "COMING",
    "POLL",
    "TABLE",
    "TERMINAL",
    "Cause",
    "Decision",
    "Finding",
    "IllegalTransition",
    "Kind",
    "Phase",
    "Plan",
    "Rollout",
    "Seen",
    "decide",
    "detect",
    "move",
]

POLL = 0.25  # seconds between two looks while something moves and nobody else watches
IDLE = 2.0  # the same, while it is held or waits for a person

_P, _C = Phase, Cause
TABLE: Mapping[tuple[Phase, Cause], Phase] = {
    (_P.PENDING, _C.READY_TO_WRITE): _P.MOVING,
    (_P.PENDING, _C.READY_TO_STAGE): _P.STAGING,
    (_P.PENDING, _C.CHORES): _P.PREPARING,
    (_P.PENDING, _C.MEMBER): _P.WAITING,
    (_P.PENDING, _C.ALREADY_THERE): _P.SUCCEEDED,
    (_P.PENDING, _C.REFUSED): _P.FAILED,
    (_P.PENDING, _C.BUSY): _P.QUEUED,
    (_P.PENDING, _C.REPLACED): _P.SUPERSEDED,
    (_P.PENDING, _C.ABORTED): _P.ABORTED,
    (_P.QUEUED, _C.FREED): _P.PENDING,
    (_P.QUEUED, _C.REPLACED): _P.SUPERSEDED,
    (_P.QUEUED, _C.ABORTED): _P.ABORTED,
    (_P.WAITING, _C.FREED): _P.PENDING,
    (_P.WAITING, _C.REPLACED): _P.SUPERSEDED,
    (_P.WAITING, _C.ABORTED): _P.ABORTED,
    (_P.PREPARING, _C.PROGRESS): _P.PREPARING,
    (_P.PREPARING, _C.HELD): _P.PREPARING,
    (_P.PREPARING, _C.READY_TO_WRITE): _P.MOVING,
    (_P.PREPARING, _C.READY_TO_STAGE): _P.STAGING,
    (_P.PREPARING, _C.VETO): _P.FAILED,
    (_P.PREPARING, _C.EXPIRED): _P.FAILED,
    (_P.PREPARING, _C.ABORTED): _P.ABORTED,
    (_P.PREPARING, _C.WAY_FREE): _P.PREPARING,
    (_P.PREPARING, _C.REPLACED): _P.SUPERSEDED,
    (_P.PREPARING, _C.FOREIGN_HAND): _P.CHANGED,
    (_P.STAGING, _C.PROGRESS): _P.STAGING,
    (_P.STAGING, _C.HELD): _P.STAGING,
    (_P.STAGING, _C.READY_TO_WRITE): _P.MOVING,
    (_P.STAGING, _C.VETO): _P.ROLLED_BACK,
    (_P.STAGING, _C.EXPIRED): _P.FAILED,
    (_P.STAGING, _C.ABORTED): _P.ABORTED,
    (_P.STAGING, _C.WAY_FREE): _P.STAGING,
    (_P.STAGING, _C.REPLACED): _P.SUPERSEDED,
    (_P.STAGING, _C.FOREIGN_HAND): _P.CHANGED,
    (_P.MOVING, _C.NOT_WRITTEN): _P.MOVING,
    (_P.MOVING, _C.NODE_LOST): _P.MOVING,
    (_P.MOVING, _C.PROGRESS): _P.MOVING,
    (_P.MOVING, _C.WAY_FREE): _P.MOVING,
    (_P.MOVING, _C.CHORES): _P.FINISHING,
    (_P.MOVING, _C.TO_WATCH): _P.WATCHING,
    (_P.MOVING, _C.CONVERGED): _P.SUCCEEDED,
    (_P.MOVING, _C.VETO): _P.ROLLING_BACK,
    (_P.MOVING, _C.ABORTED): _P.ROLLING_BACK,
    (_P.MOVING, _C.MAKE_WAY): _P.ROLLING_BACK,
    (_P.MOVING, _C.FREEZE): _P.FROZEN,
    (_P.MOVING, _C.EXPIRED): _P.FAILED,
    (_P.MOVING, _C.SWARM_TURNED_ROUND): _P.SWARM_ROLLING_BACK,
    (_P.MOVING, _C.REPLACED): _P.SUPERSEDED,
    (_P.MOVING, _C.FOREIGN_HAND): _P.CHANGED,
    (_P.FINISHING, _C.PROGRESS): _P.FINISHING,
    (_P.FINISHING, _C.CHORES): _P.FINISHING,
    (_P.FINISHING, _C.TO_WATCH): _P.WATCHING,
    (_P.FINISHING, _C.CONVERGED): _P.SUCCEEDED,
    (_P.FINISHING, _C.VETO): _P.ROLLING_BACK,
    (_P.FINISHING, _C.ABORTED): _P.ROLLING_BACK,
    (_P.FINISHING, _C.FREEZE): _P.FROZEN,
    (_P.FINISHING, _C.EXPIRED): _P.FAILED,
    (_P.FINISHING, _C.REPLACED): _P.SUPERSEDED,
    (_P.FINISHING, _C.FOREIGN_HAND): _P.CHANGED,
    (_P.WATCHING, _C.PROGRESS): _P.WATCHING,
    (_P.WATCHING, _C.CONVERGED): _P.SUCCEEDED,
    (_P.WATCHING, _C.VETO): _P.ROLLING_BACK,
    (_P.WATCHING, _C.ABORTED): _P.ROLLING_BACK,
    (_P.WATCHING, _C.FREEZE): _P.FROZEN,
    (_P.WATCHING, _C.EXPIRED): _P.FAILED,
    (_P.WATCHING, _C.WAY_FREE): _P.WATCHING,
    (_P.WATCHING, _C.REPLACED): _P.SUPERSEDED,
    (_P.WATCHING, _C.FOREIGN_HAND): _P.CHANGED,
    (_P.ROLLING_BACK, _C.NOT_WRITTEN): _P.ROLLING_BACK,
    (_P.ROLLING_BACK, _C.NODE_LOST): _P.ROLLING_BACK,
    (_P.ROLLING_BACK, _C.PROGRESS): _P.ROLLING_BACK,
    (_P.ROLLING_BACK, _C.CONVERGED): _P.ROLLED_BACK,
    (_P.ROLLING_BACK, _C.TAKEN_BACK): _P.ABORTED,
    (_P.ROLLING_BACK, _C.WAY_MADE): _P.SUPERSEDED,
    (_P.ROLLING_BACK, _C.EXPIRED): _P.FAILED,
    (_P.ROLLING_BACK, _C.SWARM_TURNED_ROUND): _P.SWARM_ROLLING_BACK,
    (_P.ROLLING_BACK, _C.REPLACED): _P.SUPERSEDED,
    (_P.ROLLING_BACK, _C.FOREIGN_HAND): _P.CHANGED,
    (_P.SWARM_ROLLING_BACK, _C.PROGRESS): _P.SWARM_ROLLING_BACK,
    (_P.SWARM_ROLLING_BACK, _C.CONVERGED): _P.ROLLED_BACK_BY_SWARM,
    (_P.SWARM_ROLLING_BACK, _C.VETO): _P.ROLLING_BACK,
    (_P.SWARM_ROLLING_BACK, _C.EXPIRED): _P.FAILED,
    (_P.SWARM_ROLLING_BACK, _C.REPLACED): _P.SUPERSEDED,
    (_P.SWARM_ROLLING_BACK, _C.FOREIGN_HAND): _P.CHANGED,
    (_P.CLEARING, _C.PROGRESS): _P.CLEARING,
}
_BACK = (Phase.ROLLING_BACK, Phase.SWARM_ROLLING_BACK)


class IllegalTransition(NodewiseError):
    """The table has no such line: a bug, named by phase and cause."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The rollout after this look, what to save with it (jobs), what to do (effects), when to look again.

    ``way_free``: what waits for the service may be planned now, and take it over.
    """

    rollout: Rollout
    effects: tuple[Effect, ...] = ()
    jobs: tuple[Job, ...] = ()
    wake_at: float | None = None
    way_free: bool = False


def decide(rollout: Rollout, seen: Seen, now: float, poll: float = POLL) -> Decision:
    """One look, one decision. Pure. A rollout that has ended stays as it is.

    *poll*: how many seconds later to look again at the latest; sooner where a gate, a bake or a deadline is due.
    """
    if rollout.phase.terminal or rollout.plan is None:
        return Decision(rollout)
    rollout = _observed(rollout, seen, now)
    finding = detect(rollout, seen, now)
    after = move(rollout, finding.cause, now, finding.reason)
    after = _noted(after, finding, seen)
    effects = _effects(after, finding, seen)
    if any(isinstance(e, MakeHelper) for e in effects):
        after = replace(after, helpers=True)
    return Decision(
        rollout=after,
        effects=effects,
        jobs=(Job(Verb.ROLLBACK, rollout.id),) if finding.cause is Cause.VETO and after.phase in _BACK else (),
        wake_at=None if after.phase.terminal else _wake(after, rollout, seen, now, poll),
        way_free=finding.cause is Cause.WAY_FREE,
    )


def move(rollout: Rollout, cause: Cause, now: float, reason: str = "") -> Rollout:
    """Follow the table. Raises IllegalTransition where it has no line."""
    if (rollout.phase, cause) == (Phase.CLEARING, Cause.CLEARED):
        return replace(rollout, phase=rollout.ends_as or Phase.FAILED, ended_at=now)
    phase = TABLE.get((rollout.phase, cause))
    if phase is None:
        raise IllegalTransition(f"rollout {rollout.id}: {cause.value!r} is not possible while {rollout.phase}")
    if phase is rollout.phase:
        return rollout
    kept = "" if cause is Cause.FREED else rollout.reason  # what it waited for is over
    back = phase in _BACK
    moved = replace(
        rollout,
        phase=phase,
        reason=kept if back and kept else reason or kept,
        turned=cause.value if back and not rollout.turned else rollout.turned,
        held="",
    )
    if phase.terminal:
        return replace(moved, phase=Phase.CLEARING, ends_as=phase) if moved.helpers else replace(moved, ended_at=now)
    return _entered(moved, rollout.phase, now)


def _entered(rollout: Rollout, before: Phase, now: float) -> Rollout:
    """What begins with a phase: its time, and steps that are walked anew when candidates give way to the service."""
    if rollout.phase is Phase.QUEUED:
        return replace(rollout, queued_at=now)
    plan = rollout.plan
    if plan is None:
        return rollout
    if rollout.phase is Phase.WATCHING:
        return replace(rollout, watch_until=now + plan.watch)
    if rollout.phase in _BACK or rollout.phase is Phase.FINISHING or before in (Phase.PREPARING, Phase.STAGING):
        rollout = replace(rollout, deadline_at=now + plan.deadline, idle_since=None, remaining=None)
    if rollout.phase is Phase.MOVING and before is Phase.STAGING:
        steps = tuple(Step(s.node_id, s.node, since=now, stage=s.stage, size=s.size) for s in rollout.steps)
        return replace(rollout, steps=steps)
    return rollout


# -- before the question ---------------------------------------------------------------------------------


def _observed(rollout: Rollout, seen: Seen, now: float) -> Rollout:
    """The rollout with its steps and chores after this look, and its clock stopped or set going."""
    rollout = with_chores(rollout, seen)
    moved = walked(rollout, seen, now) if rollout.phase is Phase.STAGING else _with_steps(rollout, seen, now)
    return _on_time(moved, rollout.steps, _not_back(rollout, seen), now)


def _not_back(rollout: Rollout, seen: Seen) -> int | None:
    """How many tasks are not back yet; None where it is not on its way back."""
    if seen.service is None or rollout.phase not in _BACK:
        return None
    if rollout.phase is Phase.ROLLING_BACK and seen.service.mark != rollout.back_mark:
        return None  # not written yet: what counts as up to date are the tasks that are to go
    return sum(not (t.up_to_date and t.running) for t in wanted_tasks(seen))


def _with_steps(rollout: Rollout, seen: Seen, now: float) -> Rollout:
    """Walk the steps, but only over tasks of our own write: before it, every old task is up to date."""
    plan = rollout.plan
    if plan is None or seen.service is None or seen.service.mark != rollout.mark:
        return rollout
    if rollout.written_at is None:
        rollout = replace(rollout, written_at=now)
    if rollout.phase not in (Phase.MOVING, Phase.FINISHING, Phase.WATCHING):
        return rollout
    gates = () if rollout.kind is Kind.ROLLBACK else plan.gates
    steps = walk(rollout.steps, seen.tasks, seen.nodes, seen.readings, gates, plan.bake, now)
    return rollout if steps == rollout.steps else replace(rollout, steps=steps)


def _on_time(rollout: Rollout, before: tuple[Step, ...], not_back: int | None, now: float) -> Rollout:
    """The deadline is for going on: every node that passes for the first time sets it anew, waiting stops it.

    On the way back, every task fewer that is not back yet does: *not_back* is how many those are.
    """
    plan = rollout.plan
    assert plan is not None
    known = {s.node_id for s in before if s.first_passed is not None}
    if any(s.first_passed is not None and s.node_id not in known for s in rollout.steps):
        rollout = replace(rollout, deadline_at=now + plan.deadline)
    if not_back is not None and (rollout.remaining is None or not_back < rollout.remaining):
        anew = rollout.deadline_at if rollout.remaining is None else now + plan.deadline
        rollout = replace(rollout, remaining=not_back, deadline_at=anew)
    idle = bool(rollout.held or open_question(rollout))
    if idle and rollout.idle_since is None:
        return replace(rollout, idle_since=now)
    if not idle and rollout.idle_since is not None:
        waited = now - rollout.idle_since
        return replace(rollout, idle_since=None, deadline_at=(rollout.deadline_at or now) + waited)
    return rollout


# -- after the answer ------------------------------------------------------------------------------------


def _noted(rollout: Rollout, finding: Finding, seen: Seen) -> Rollout:
    """What the rollout remembers of a finding: the task at fault, and why it is held."""
    if finding.task is not None and finding.cause is not Cause.PROGRESS:
        rollout = replace(rollout, failing_task=finding.task.id)
    if finding.cause is not Cause.HELD or not finding.reason or rollout.plan is None:
        return rollout
    judged = {t.id for h in seen.helpers for t in h.tasks if t.failed} | set(rollout.plan.failed_before)
    return replace(rollout, held=finding.reason, plan=replace(rollout.plan, failed_before=tuple(sorted(judged))))


_WRITTEN = (Cause.NOT_WRITTEN, Cause.NODE_LOST)


def _effects(rollout: Rollout, finding: Finding, seen: Seen) -> tuple[Effect, ...]:
    effects: list[Effect] = list(finding.effects)
    service = seen.service
    if service is not None and (finding.cause in _WRITTEN or _turns(rollout, service)):
        lost = lost_tasks(service, seen) if finding.cause is Cause.NODE_LOST else ()
        spec = without_lost(_spec_to_write(rollout, service), lost)
        effects.append(WriteSpec(rollout.service_id, service.version, spec))
    if rollout.failing_task and not rollout.evidence:
        tasks = (*seen.tasks, *(t for h in seen.helpers for t in h.tasks))
        error = next((t.error for t in tasks if t.id == rollout.failing_task), "")
        effects.append(KeepEvidence(rollout.id, rollout.failing_task, error))
    effects += [RemoveHelper(service_id) for service_id in unwanted(rollout, seen)]
    return tuple(effects)


def _turns(rollout: Rollout, service: ServiceView) -> bool:
    """Whether it has just turned round and its own write still stands: the look that found the reason writes at once.

    Before the evidence: its log lines come from a node that may not answer.
    """
    return rollout.phase is Phase.ROLLING_BACK and service.mark == rollout.mark


def _spec_to_write(rollout: Rollout, running: ServiceView) -> Spec:
    """The whole spec for the one write: forward, or back to the snapshot."""
    plan = rollout.plan
    assert plan is not None
    if rollout.phase is Phase.ROLLING_BACK:
        return marked(keeping_scale(plan.base, running.spec), rollout.back_mark, GOING_BACK)
    return marked(keeping_scale(plan.target, running.spec), rollout.mark, plan.update_config)


def _wake(rollout: Rollout, before: Rollout, seen: Seen, now: float, poll: float) -> float:
    """When to look again: at once after a change of phase, else when something falls due by time alone."""
    plan = rollout.plan
    assert plan is not None
    if rollout.phase is not before.phase:
        return now
    gates = plan.candidate_gates if rollout.phase is Phase.STAGING else plan.gates
    idle = IDLE if rollout.idle_since is not None else 0.0  # a person's word wakes it at once
    due = [now + max(poll, idle), *next_reading(rollout.steps, gates, plan.bake)]
    due += [at for at in (rollout.watch_until, rollout.deadline_at) if at is not None and at >= now]
    return min(due) if min(due) > now else now + POLL
