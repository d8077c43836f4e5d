"""advance: look at one rollout's service, decide, save, act, and say when to look again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from nodewise.apply import apply
from nodewise.bootstrap import Deps
from nodewise.domain.effects import Effect, KeepEvidence, WriteSpec
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.locks import Lock
from nodewise.domain.release import ReleaseState, digest_of
from nodewise.domain.rollout import POLL, Cause, Decision, Kind, Phase, Rollout, Seen, decide, move
from nodewise.domain.steps import Reading, Verdict
from tasks.observe import observe
from tasks.outcome import DONE, Outcome

AUTOMATIC = "nodewise"

log = structlog.get_logger(__name__)


def advance(deps: Deps, rollout_id: str) -> Outcome:
    """One look, one decision. The whole life of a rollout is this, again and again."""
    rollout, newer = deps.store.rollout_and_newer(rollout_id)
    if rollout is not None and rollout.phase.terminal:
        _late_evidence(deps, rollout)
    if rollout is None or not rollout.phase.going:
        return DONE
    return step(deps, rollout, observe(deps, rollout, newer))


def _late_evidence(deps: Deps, rollout: Rollout) -> None:
    """What an ended rollout still owes: its worker died between the save that ended it and the evidence.

    Swarm may have forgotten the task by now; the reason names its error then.
    """
    if not rollout.failing_task or rollout.evidence:
        return
    tasks = deps.engine.tasks([rollout.service_id])
    error = next((t.error for t in tasks if t.id == rollout.failing_task), rollout.reason)
    apply(deps, KeepEvidence(rollout.id, rollout.failing_task, error))


def step(deps: Deps, rollout: Rollout, seen: Seen) -> Outcome:
    """Decide on one look, save, act. What is saved comes first: a crash in between is made up for by the next look."""
    decision = decide(rollout, seen, deps.clock.now(), deps.pulse.poll(deps))
    saved, jobs = save(deps, rollout, decision, seen)
    written = [apply(deps, effect) for effect in decision.effects]
    if any(written) and saved.written_at is None:
        # Noted at once: should Swarm turn the update round before the next look, it is known to be ours.
        deps.store.save_rollouts([replace(saved, written_at=deps.clock.now())], deps.clock.now(), before=saved)
    if missed(decision.effects, written):
        return Outcome(jobs, deps.clock.now() + POLL)
    return Outcome(jobs, decision.wake_at)


def missed(effects: Sequence[Effect], written: Sequence[bool]) -> bool:
    """Whether a write was due and came too late: it is tried again soon, whoever watches meanwhile."""
    return any(isinstance(e, WriteSpec) and not done for e, done in zip(effects, written, strict=True))


def save(deps: Deps, before: Rollout, decision: Decision, seen: Seen) -> tuple[Rollout, tuple[Job, ...]]:
    """Save what changed, with what follows from it, in one transaction. The loser of a race raises LostRace."""
    after = decision.rollout
    news = _news(before, seen.readings)
    if after == before and not decision.jobs and not decision.way_free:
        deps.store.add_readings(before.id, news)
        return before, ()
    now = deps.clock.now()
    jobs, saved = list(decision.jobs), [after]
    if decision.way_free or (before.phase.active and not after.phase.active):
        freed, more = free_queued(deps, after.service, now)
        saved += freed
        jobs += more
    if after.phase.terminal and after.app_rollout:
        jobs.append(Job(Verb.ADVANCE, after.app_rollout))
    kept = deps.store.save_rollouts(
        saved,
        now,
        release_states=_states(before, after),
        jobs=jobs,
        locked=_locks(before, after, now),
        before=before,
        readings=news,
    )
    if after.phase is not before.phase:
        log.info("rollout", id=after.id, service=after.service, phase=after.phase.value, reason=after.reason)
    return kept[0], tuple(jobs)


def free_queued(deps: Deps, service: str, now: float) -> tuple[list[Rollout], list[Job]]:
    """The rollout that waited for this service, set free, and the job that plans it."""
    waiting = deps.store.queued_rollouts(service)
    freed = [move(r, Cause.FREED, now) for r in waiting[-1:]]
    return freed, [Job(Verb.PLAN, r.id) for r in freed]


def _states(before: Rollout, after: Rollout) -> list[tuple[str, int, ReleaseState]]:
    """What this look says about the release: at the ending only, unless it is taken for bad."""
    if after.to_number is None:
        return []
    if _ending(after) is Phase.SUCCEEDED:
        return [(after.service, after.to_number, ReleaseState.GOOD)]
    if _condemned(before, after) or _ending(after) is Phase.FROZEN:
        return [(after.service, after.to_number, ReleaseState.BAD)]
    return []


def _locks(before: Rollout, after: Rollout, now: float) -> list[Lock]:
    """A digest that is taken back is not tried again by itself; a frozen service is not touched at all."""
    if after.plan is None or after.kind is Kind.ROLLBACK:
        return []
    how = "was taken back" if after.turned == Cause.VETO.value else _ending(after).value.replace("_", " ")
    reason = f"{after.id} {how}: {after.reason}"
    if _condemned(before, after):
        return [Lock(after.service, digest_of(after.plan.target), reason, AUTOMATIC, now)]
    return [Lock(after.service, "", reason, AUTOMATIC, now)] if _ending(after) is Phase.FROZEN else []


def _condemned(before: Rollout, after: Rollout) -> bool:
    """Whether this look takes the release for bad: by the veto that turns it round, however the way back ends.

    At the ending, where it was no veto of ours that did: Swarm's own, or of candidates, which are only removed.
    """
    if after.turned == Cause.VETO.value:
        return before.turned != after.turned
    return _ending(after) in (Phase.ROLLED_BACK, Phase.ROLLED_BACK_BY_SWARM)


def _ending(rollout: Rollout) -> Phase:
    """The ending, while it clears up as well; the phase of one that goes on."""
    return rollout.ends_as or rollout.phase


def _news(rollout: Rollout, readings: Sequence[Reading]) -> list[Reading]:
    """Readings worth keeping: all but the repetition of a pass that already counts."""
    assert rollout.plan is not None
    needed = {g.name: g.successes for g in (*rollout.plan.gates, *rollout.plan.candidate_gates)}
    steps = {s.node_id: s for s in rollout.steps}

    def stale(reading: Reading) -> bool:
        step = steps.get(reading.node_id)
        return (
            reading.verdict is Verdict.PASS
            and step is not None
            and step.streak(reading.gate).passes >= needed[reading.gate]
        )

    return [r for r in readings if not stale(r)]
