"""The rollout: its phases, the one table of transitions, and the one pure function that decides.

Theory
======
A rollout moves one service from one release to another by writing the service *once*. After that it only
looks: at the service, its tasks and the gates' readings. Each look is turned into exactly one *cause*
(``detect``), the table says which phase follows, and ``decide`` adds what has to be done about it.

Who the spec in the swarm belongs to is told by a label, the *mark*: ours forward, ours on the way back, or
somebody else's. That makes every write recognisable after a lost answer, and every crash harmless: the
next look sees that the swarm is not there yet, and the same effect is asked for again.

A rollback that a person asked for is a rollout as well, of another kind: no gate can turn it round.
A rollback is never rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nodewise.domain.causes import Cause, Finding, detect
from nodewise.domain.effects import Effect, KeepEvidence, WriteSpec
from nodewise.domain.errors import NodewiseError
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.model import ACTIVE, TERMINAL, Kind, Phase, Plan, Rollout, Seen
from nodewise.domain.release import keeping_scale, marked
from nodewise.domain.steps import walk
from nodewise.domain.swarm import ServiceView, Spec

__all__ = [
    "ACTIVE",
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

POLL = 0.25  # seconds between two looks while something moves

TABLE: Mapping[tuple[Phase, Cause], Phase] = {
    (Phase.PENDING, Cause.PLANNED): Phase.MOVING,
    (Phase.PENDING, Cause.ALREADY_THERE): Phase.SUCCEEDED,
    (Phase.PENDING, Cause.REFUSED): Phase.FAILED,
    (Phase.PENDING, Cause.BUSY): Phase.QUEUED,
    (Phase.PENDING, Cause.REPLACED): Phase.SUPERSEDED,
    (Phase.QUEUED, Cause.FREED): Phase.PENDING,
    (Phase.QUEUED, Cause.REPLACED): Phase.SUPERSEDED,
    (Phase.MOVING, Cause.NOT_WRITTEN): Phase.MOVING,
    (Phase.MOVING, Cause.PROGRESS): Phase.MOVING,
    (Phase.MOVING, Cause.CONVERGED): Phase.SUCCEEDED,
    (Phase.MOVING, Cause.VETO): Phase.ROLLING_BACK,
    (Phase.MOVING, Cause.EXPIRED): Phase.FAILED,
    (Phase.MOVING, Cause.SWARM_TURNED_ROUND): Phase.SWARM_ROLLING_BACK,
    (Phase.MOVING, Cause.FOREIGN_HAND): Phase.CHANGED,
    (Phase.MOVING, Cause.REPLACED): Phase.SUPERSEDED,
    (Phase.ROLLING_BACK, Cause.NOT_WRITTEN): Phase.ROLLING_BACK,
    (Phase.ROLLING_BACK, Cause.PROGRESS): Phase.ROLLING_BACK,
    (Phase.ROLLING_BACK, Cause.CONVERGED): Phase.ROLLED_BACK,
    (Phase.ROLLING_BACK, Cause.EXPIRED): Phase.FAILED,
    (Phase.ROLLING_BACK, Cause.SWARM_TURNED_ROUND): Phase.SWARM_ROLLING_BACK,
    (Phase.ROLLING_BACK, Cause.FOREIGN_HAND): Phase.CHANGED,
    (Phase.ROLLING_BACK, Cause.REPLACED): Phase.SUPERSEDED,
    (Phase.SWARM_ROLLING_BACK, Cause.PROGRESS): Phase.SWARM_ROLLING_BACK,
    (Phase.SWARM_ROLLING_BACK, Cause.CONVERGED): Phase.ROLLED_BACK_BY_SWARM,
    (Phase.SWARM_ROLLING_BACK, Cause.VETO): Phase.ROLLING_BACK,
    (Phase.SWARM_ROLLING_BACK, Cause.EXPIRED): Phase.FAILED,
    (Phase.SWARM_ROLLING_BACK, Cause.FOREIGN_HAND): Phase.CHANGED,
    (Phase.SWARM_ROLLING_BACK, Cause.REPLACED): Phase.SUPERSEDED,
}


class IllegalTransition(NodewiseError):
    """The table has no such line: a bug, named by phase and cause."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The rollout after this look, what to save with it (jobs), what to do (effects), when to look again."""

    rollout: Rollout
    effects: tuple[Effect, ...] = ()
    jobs: tuple[Job, ...] = ()
    wake_at: float | None = None


def decide(rollout: Rollout, seen: Seen, now: float) -> Decision:
    """One look, one decision. Pure. A rollout that has ended stays as it is."""
    if rollout.phase.terminal or rollout.plan is None:
        return Decision(rollout)
    rollout = _with_steps(rollout, seen, now)
    finding = detect(rollout, seen, now)
    after = move(rollout, finding.cause, now, finding.reason)
    if finding.task is not None:
        after = replace(after, failing_task=finding.task.id)
    return Decision(
        rollout=after,
        effects=_effects(after, finding, seen),
        jobs=(Job(Verb.ROLLBACK, rollout.id),) if finding.cause is Cause.VETO else (),
        wake_at=None if after.phase.terminal else now + POLL,
    )


def move(rollout: Rollout, cause: Cause, now: float, reason: str = "") -> Rollout:
    """Follow the table. Raises IllegalTransition where it has no line."""
    phase = TABLE.get((rollout.phase, cause))
    if phase is None:
        raise IllegalTransition(f"rollout {rollout.id}: {cause.value!r} is not possible while {rollout.phase}")
    if phase is rollout.phase:
        return rollout
    back = phase in (Phase.ROLLING_BACK, Phase.SWARM_ROLLING_BACK)
    kept = "" if cause is Cause.FREED else rollout.reason  # what it waited for is over
    return replace(
        rollout,
        phase=phase,
        reason=kept if back and kept else reason or kept,
        deadline_at=now + rollout.plan.deadline if back and rollout.plan else rollout.deadline_at,
        ended_at=now if phase.terminal else None,
    )


def _effects(rollout: Rollout, finding: Finding, seen: Seen) -> tuple[Effect, ...]:
    effects: list[Effect] = []
    if finding.cause is Cause.NOT_WRITTEN and seen.service is not None:
        effects.append(WriteSpec(rollout.service_id, seen.service.version, _spec_to_write(rollout, seen.service)))
    if rollout.failing_task and not rollout.evidence:
        error = next((t.error for t in seen.tasks if t.id == rollout.failing_task), "")
        effects.append(KeepEvidence(rollout.id, rollout.failing_task, error))
    return tuple(effects)


def _spec_to_write(rollout: Rollout, running: ServiceView) -> Spec:
    """The whole spec for the one write: forward, or back to the snapshot.

    On the way back Swarm must not turn round once more, so a failing old task is not acted upon.
    """
    plan = rollout.plan
    assert plan is not None
    if rollout.phase is Phase.ROLLING_BACK:
        return marked(keeping_scale(plan.base, running.spec), rollout.back_mark, {"FailureAction": "continue"})
    return marked(keeping_scale(plan.target, running.spec), rollout.mark, plan.update_config)


def _with_steps(rollout: Rollout, seen: Seen, now: float) -> Rollout:
    """Walk the steps, but only over tasks of our own write: before it, every old task is up to date."""
    plan = rollout.plan
    if plan is None or seen.service is None or seen.service.mark != rollout.mark:
        return rollout
    if rollout.written_at is None:
        rollout = replace(rollout, written_at=now)
    if rollout.phase is not Phase.MOVING:
        return rollout
    gates = () if rollout.kind is Kind.ROLLBACK else plan.gates
    steps = walk(rollout.steps, seen.tasks, seen.nodes, seen.readings, gates, plan.bake, now)
    return rollout if steps == rollout.steps else replace(rollout, steps=steps)
