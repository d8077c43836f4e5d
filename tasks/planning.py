"""What every plan begins with: the ground as it is, and the running spec kept as a release.

Shared by ``plan`` (forward) and ``rollback`` (back). A plan touches nothing in the swarm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from nodewise.bootstrap import Deps
from nodewise.config.labels import ServiceLabels, read_labels
from nodewise.domain import drift
from nodewise.domain.causes import GOING_BACK
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.release import Release, ReleaseState, digest_of, fingerprint, unmarked
from nodewise.domain.rollout import Cause, Phase, Plan, Rollout, Seen, move
from nodewise.domain.steps import Step
from nodewise.domain.swarm import NodeView, ServiceView, Spec, TaskView, image_of
from tasks.advance import free_queued
from tasks.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Ground:
    """What a plan is made on: one look at the swarm and at the store."""

    service: ServiceView
    labels: ServiceLabels
    tasks: tuple[TaskView, ...]
    nodes: Mapping[str, NodeView]
    active: Rollout | None

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.service.spec)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The running spec as a release; ``new`` holds it when it was not on record yet.

    ``base``: what a failure goes back to. That is another release than the running one where this was left
    half-way by a rollout that made way: it has never been proven. ``proven``: the states that this look has shown.
    """

    release: Release
    new: tuple[Release, ...]
    base: Release
    proven: tuple[tuple[str, int, ReleaseState], ...] = ()


def survey(deps: Deps, service_name: str) -> Ground | None:
    """Look around before planning. None when the swarm has no such service."""
    nodes = deps.aside.submit(deps.engine.nodes)
    service = deps.engine.service(service_name)
    if service is None:
        return None
    return Ground(
        service=service,
        labels=read_labels(service.labels, deps.settings.label_defaults),
        tasks=tuple(deps.engine.tasks([service.id])),
        nodes={node.id: node for node in nodes.result()},
        active=deps.store.active_rollout(service.name),
    )


def user_spec(deps: Deps, spec: Spec, mark: str) -> Spec:
    """*spec* without what the rollout that left *mark* had added for its own sake."""
    rollout = deps.store.rollout(mark.partition("/")[0]) if mark else None
    if rollout is None or rollout.plan is None:
        return unmarked(spec, None, None)
    if mark == rollout.back_mark:
        return unmarked(spec, GOING_BACK, rollout.plan.base.get("UpdateConfig"))
    return unmarked(spec, rollout.plan.update_config, rollout.plan.target.get("UpdateConfig"))


def snapshot(deps: Deps, ground: Ground) -> Snapshot:
    """The release that runs now: the one on record with that very spec, or a new one for it."""
    spec = user_spec(deps, ground.service.spec, ground.service.mark)
    known = deps.store.release_by_fingerprint(ground.service.name, fingerprint(spec))
    if known is not None:
        seen = Seen(ground.service, ground.tasks)
        runs = drift.unproven(known) and drift.runs_as_asked(ground.service, seen)
        proven = ((known.service, known.number, ReleaseState.GOOD),) if runs else ()
        return Snapshot(known, (), _proven(deps, ground, known), proven)
    found = Release(
        service=ground.service.name,
        number=deps.store.next_release_number(ground.service.name),
        image=image_of(spec),
        digest=digest_of(spec),
        spec=spec,
        origin="found running",
        state=ReleaseState.GOOD,
        created_at=deps.clock.now(),
    )
    return Snapshot(found, (found,), found)


def _proven(deps: Deps, ground: Ground, running: Release) -> Release:
    if running.state is not ReleaseState.NEW or not ground.service.mark:
        return running
    rollout = deps.store.rollout(ground.service.mark)
    if rollout is None or rollout.from_number is None:
        return running
    holds = ground.active is not None and ground.active.id == rollout.id  # it makes way for what is being planned
    if not (holds or rollout.phase is Phase.SUPERSEDED):
        return running
    return deps.store.release(rollout.service, rollout.from_number) or running


def started(
    rollout: Rollout, ground: Ground, plan: Plan, from_number: int, to_number: int, now: float, cause: Cause
) -> Rollout:
    """*rollout* with its plan frozen, on its way; *cause* says with what it begins."""
    return replace(
        move(rollout, cause, now),
        service_id=ground.service.id,
        plan=plan,
        from_number=from_number,
        to_number=to_number,
        started_at=now,
        deadline_at=now + plan.deadline,
    )


def with_steps(rollout: Rollout, steps: tuple[Step, ...]) -> Rollout:
    return replace(rollout, steps=steps)


def runs_already(ground: Ground, running: Release, target: Release) -> bool:
    """Whether every task already is what *target* asks for: then there is nothing to write."""
    if running.fingerprint != target.fingerprint or ground.service.update_state == "updating":
        return False
    wanted = [t for t in ground.tasks if t.desired == "running"]
    return all(t.running and t.up_to_date for t in wanted)


def wake(replaced: Iterable[Rollout]) -> list[Job]:
    """Those that clear up go on doing so; an app whose member has ended looks what that means for the others."""
    all_ = list(replaced)
    clearing = [Job(Verb.ADVANCE, r.id) for r in all_ if r.phase is Phase.CLEARING]
    return clearing + [Job(Verb.ADVANCE, r.app_rollout) for r in all_ if r.phase.terminal and r.app_rollout]


def refuse(deps: Deps, rollout: Rollout, reason: str) -> Outcome:
    """End a rollout before anything was touched."""
    return end(deps, rollout, Cause.REFUSED, reason)


def end(deps: Deps, rollout: Rollout, cause: Cause, reason: str, releases: tuple[Release, ...] = ()) -> Outcome:
    """End a pending rollout, and set free what waited for it: a later deploy, the next service of its app."""
    now = deps.clock.now()
    freed, jobs = free_queued(deps, rollout.service, now)
    if rollout.app_rollout:
        jobs.append(Job(Verb.ADVANCE, rollout.app_rollout))
    deps.store.save_rollouts([move(rollout, cause, now, reason), *freed], now, releases=releases, jobs=jobs)
    return Outcome(tuple(jobs))


def hold(deps: Deps, rollout: Rollout, reason: str, until: float) -> Outcome:
    """Leave it pending until then, and say why; nothing is held up by it."""
    if rollout.reason != reason:
        now = deps.clock.now()
        deps.store.save_rollouts([replace(rollout, reason=reason)], now, before=rollout)
    return Outcome(again_at=until)
