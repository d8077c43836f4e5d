"""advance: look at one rollout's service, decide, save, act, and say when to look again."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import structlog

from nodewise.apply import apply
from nodewise.bootstrap import Deps
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.release import ReleaseState
from nodewise.domain.rollout import Cause, Decision, Kind, Phase, Rollout, Seen, decide, move
from nodewise.domain.steps import GatePlan, Place, Reading, Verdict, due_readings
from nodewise.domain.swarm import NodeView, TaskView, image_of
from tasks.outcome import DONE, Outcome

AT_ONCE = 8  # gates asked at the same time

log = structlog.get_logger(__name__)


def advance(deps: Deps, rollout_id: str) -> Outcome:
    """One look, one decision. The whole life of a rollout is this, again and again."""
    rollout = deps.store.rollout(rollout_id)
    if rollout is None or not rollout.phase.active:
        return DONE
    seen = observe(deps, rollout)
    decision = decide(rollout, seen, deps.clock.now())
    saved, jobs = save(deps, rollout, decision, seen)
    written = [apply(deps, effect) for effect in decision.effects]
    if any(written) and saved.written_at is None:
        # Noted at once: should Swarm turn the update round before the next look, it is known to be ours.
        deps.store.save_rollouts([replace(saved, written_at=deps.clock.now())], deps.clock.now())
    return Outcome(jobs, decision.wake_at)


def observe(deps: Deps, rollout: Rollout) -> Seen:
    """Everything that the decision needs, read once."""
    service = deps.engine.service(rollout.service_id)
    if service is None:
        return Seen(None)
    tasks = tuple(deps.engine.tasks([service.id]))
    nodes = {node.id: node for node in deps.engine.nodes()}
    readings: tuple[Reading, ...] = ()
    if service.mark == rollout.mark and rollout.phase is Phase.MOVING and rollout.kind is Kind.DEPLOY:
        readings = _read_gates(deps, rollout, tasks, nodes)
    return Seen(service, tasks, nodes, readings)


def _read_gates(
    deps: Deps, rollout: Rollout, tasks: Sequence[TaskView], nodes: dict[str, NodeView]
) -> tuple[Reading, ...]:
    """Ask every gate that is due, side by side: one slow node must not hold up the others."""
    assert rollout.plan is not None
    now = deps.clock.now()
    due = [(g, nodes[n]) for g, n in due_readings(rollout.steps, tasks, rollout.plan.gates, now) if n in nodes]

    steps = {s.node_id: s for s in rollout.steps}
    stale = rollout.plan.failed_before
    image = image_of(rollout.plan.target)

    def read(pair: tuple[GatePlan, NodeView]) -> Reading:
        plan, node = pair
        here = [t for t in tasks if t.node_id == node.id and t.up_to_date]
        place = Place(
            node=node,
            tasks=tuple(t for t in here if t.desired == "running"),
            now=now,
            service=rollout.service,
            rollout_id=rollout.id,
            image=image,
            failed=tuple(t for t in here if t.failed and t.id not in stale),
            memo=steps[node.id].streak(plan.name).memo if node.id in steps else "",
        )
        return deps.read_gate(plan, place)

    if len(due) < 2 or all(g.name == "container" for g, _ in due):
        return tuple(map(read, due))
    with ThreadPoolExecutor(min(AT_ONCE, len(due))) as pool:
        return tuple(pool.map(read, due))


def save(deps: Deps, before: Rollout, decision: Decision, seen: Seen) -> tuple[Rollout, tuple[Job, ...]]:
    """Save what changed, with what follows from it, in one transaction. The loser of a race raises LostRace."""
    after = decision.rollout
    news = _news(before, seen.readings)
    if news:
        deps.store.add_readings(before.id, news)
    if after == before and not decision.jobs:
        return before, ()
    now = deps.clock.now()
    jobs, saved = list(decision.jobs), [after]
    if after.phase.terminal:
        freed, more = free_queued(deps, after.service, now)
        saved += freed
        jobs += more
    kept = deps.store.save_rollouts(saved, now, release_states=_release_states(after), jobs=jobs)
    if after.phase is not before.phase:
        log.info("rollout", id=after.id, service=after.service, phase=after.phase.value, reason=after.reason)
    return kept[0], tuple(jobs)


def free_queued(deps: Deps, service: str, now: float) -> tuple[list[Rollout], list[Job]]:
    """The rollout that waited for this service, set free, and the job that plans it."""
    waiting = deps.store.queued_rollouts(service)
    freed = [move(r, Cause.FREED, now) for r in waiting[-1:]]
    return freed, [Job(Verb.PLAN, r.id) for r in freed]


def _release_states(rollout: Rollout) -> list[tuple[str, int, ReleaseState]]:
    if rollout.to_number is None:
        return []
    if rollout.phase is Phase.SUCCEEDED:
        return [(rollout.service, rollout.to_number, ReleaseState.GOOD)]
    if rollout.phase in (Phase.ROLLED_BACK, Phase.ROLLED_BACK_BY_SWARM):
        return [(rollout.service, rollout.to_number, ReleaseState.BAD)]
    return []


def _news(rollout: Rollout, readings: Sequence[Reading]) -> list[Reading]:
    """Readings worth keeping: all but the repetition of a pass that already counts."""
    assert rollout.plan is not None
    needed = {g.name: g.successes for g in rollout.plan.gates}
    steps = {s.node_id: s for s in rollout.steps}

    def stale(reading: Reading) -> bool:
        step = steps.get(reading.node_id)
        return (
            reading.verdict is Verdict.PASS
            and step is not None
            and step.streak(reading.gate).passes >= needed[reading.gate]
        )

    return [r for r in readings if not stale(r)]
