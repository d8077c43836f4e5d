"""plan: turn an event into rollouts and builds, and a requested rollout into a frozen plan.

The plan asks the registry what the image is, keeps the running spec as a release, cuts the steps, and
saves all of it in one transaction. Nothing in the swarm has been touched by then.
"""

from __future__ import annotations

from dataclasses import replace

from nodewise.bootstrap import Deps
from nodewise.domain.errors import Conflict, UserError
from nodewise.domain.events import CodePushed, ImagePushed
from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.release import Release, ReleaseState, digest_of, with_image
from nodewise.domain.rollout import Cause, Kind, Phase, Plan, Rollout, move
from nodewise.domain.steps import GatePlan
from nodewise.domain.swarm import ResolvedImage
from nodewise.strategies import strategy
from tasks import planning, routing
from tasks.outcome import DONE, Outcome
from tasks.planning import Ground, Snapshot

CONTAINER = GatePlan("container", interval=0.0, successes=1, failures=1)


def plan(deps: Deps, subject: str) -> Outcome:
    """*subject* is an event's or a rollout's id."""
    if subject.startswith("r-"):
        return plan_rollout(deps, subject)
    return plan_event(deps, subject)


def plan_event(deps: Deps, event_id: str) -> Outcome:
    """What an event starts, saved together with its being done: acted on exactly once."""
    stored = deps.store.event(event_id)
    if stored is None or stored.done_at is not None:
        return DONE
    match stored.event:
        case ImagePushed() as event:
            matches = routing.route_image(deps, stored, event)
            nothing = f"no service runs {event.repository}"
        case CodePushed() as event:
            matches = routing.route_code(deps, stored, event)
            nothing = f"no build is configured for {event.repository}"
    jobs = deps.store.finish_event(
        event_id,
        routing.told(matches) or nothing,
        deps.clock.now(),
        rollouts=[m.rollout for m in matches if m.rollout],
        builds=[m.build for m in matches if m.build],
    )
    return Outcome(jobs)


def plan_rollout(deps: Deps, rollout_id: str) -> Outcome:
    """Make the plan of one requested deploy, or say why there is none."""
    rollout = deps.store.rollout(rollout_id)
    if rollout is None or rollout.phase is not Phase.PENDING:
        return DONE
    ground = planning.survey(deps, rollout.service)
    if ground is None:
        return planning.refuse(deps, rollout, f"the swarm has no service {rollout.service!r}")
    try:
        name, resolved = resolve(deps, ImageName.parse(rollout.image))
        reason = _why_not(deps, rollout, resolved.digest)
        if reason:
            return planning.refuse(deps, rollout, reason)
        if ground.active is not None:
            return _wait_or_drop(deps, rollout, ground.active, resolved.digest)
        return _set_out(deps, rollout, ground, name.pinned(resolved.digest), resolved)
    except UserError as error:
        return planning.refuse(deps, rollout, str(error))


def resolve(deps: Deps, name: ImageName) -> tuple[ImageName, ResolvedImage]:
    """What the registry says *name* is.

    A digest that came with an event is verified by itself: a registry sends its notification before the
    tag is written (distribution, registry/handlers), so the tag may still point at the old one.
    """
    return name, deps.engine.resolve(replace(name, tag="") if name.digest else name)


def _why_not(deps: Deps, rollout: Rollout, digest: str) -> str:
    """A digest that was taken back is not retried by an event; a person may insist."""
    if not rollout.event_id:
        return ""
    for earlier in deps.store.rollouts(rollout.service, limit=50):
        if earlier.plan is None or digest_of(earlier.plan.target) != digest or earlier.kind is Kind.ROLLBACK:
            continue
        if earlier.phase in (Phase.ROLLED_BACK, Phase.ROLLED_BACK_BY_SWARM):
            return f"this digest was rolled back in {earlier.id} ({earlier.reason}); deploy it by hand to insist"
        return ""
    return ""


def _wait_or_drop(deps: Deps, rollout: Rollout, active: Rollout, digest: str) -> Outcome:
    """Another rollout holds the service: wait for its end, unless it brings the very same digest."""
    same = active.plan is not None and digest_of(active.plan.target) == digest and active.kind is Kind.DEPLOY
    if same and active.phase is Phase.MOVING:
        return planning.end(deps, rollout, Cause.REPLACED, f"the same digest is on its way already in {active.id}")
    now = deps.clock.now()
    older = [
        move(r, Cause.REPLACED, now, f"replaced by the newer {rollout.id}")
        for r in deps.store.queued_rollouts(rollout.service)
    ]
    waiting = move(rollout, Cause.BUSY, now, f"waits for {active.id}")
    deps.store.save_rollouts([*older, waiting], now)
    if deps.store.active_rollout(rollout.service) is None:
        return Outcome(again_at=now)  # it ended meanwhile, and may not have seen us waiting
    return DONE


def _set_out(deps: Deps, rollout: Rollout, ground: Ground, image: ImageName, resolved: ResolvedImage) -> Outcome:
    now = deps.clock.now()
    snapshot = planning.snapshot(deps, ground)
    target = _target(deps, rollout, snapshot, str(image), resolved, now)
    if planning.runs_already(ground, snapshot.release, target):
        deps.store.save_rollouts(
            [move(rollout, Cause.ALREADY_THERE, now, f"{ground.service.name} runs {image} already")],
            now,
            releases=snapshot.new,
        )
        return DONE
    labels = ground.labels
    gates = (CONTAINER, *labels.gates)
    cut = strategy(labels.strategy).plan(snapshot.release.spec, ground.tasks, ground.nodes, gates, labels.bake)
    frozen = Plan(
        strategy=labels.strategy,
        base=snapshot.release.spec,
        base_print=ground.fingerprint,
        base_mark=ground.service.mark,
        target=target.spec,
        gates=gates,
        bake=labels.bake,
        deadline=labels.deadline,
        update_config=cut.update_config,
        failed_before=tuple(t.id for t in ground.tasks if t.failed and t.image.endswith(resolved.digest)),
        notes=(*cut.notes, *(f"{label} has no effect in this version" for label in labels.not_yet)),
    )
    planned = planning.started(rollout, ground, frozen, snapshot.release.number, target.number, now)
    planned = planning.with_steps(planned, cut.steps)
    jobs = (Job(Verb.ADVANCE, rollout.id),)
    new = (*snapshot.new, *(() if target in snapshot.new or _on_record(deps, target) else (target,)))
    try:
        deps.store.save_rollouts([planned], now, releases=new, jobs=jobs)
    except Conflict:
        return Outcome(again_at=now)  # another rollout took the service between our look and our save
    return Outcome(jobs)


def _target(
    deps: Deps, rollout: Rollout, snapshot: Snapshot, image: str, resolved: ResolvedImage, now: float
) -> Release:
    """The release to go to: one on record with that very spec, or a new one."""
    spec = with_image(snapshot.release.spec, image, resolved)
    target = Release(
        service=rollout.service,
        number=max(deps.store.next_release_number(rollout.service), snapshot.release.number + 1),
        image=image,
        digest=resolved.digest,
        spec=spec,
        origin=f"{rollout.origin}, {rollout.id}",
        state=ReleaseState.NEW,
        created_at=now,
    )
    if target.fingerprint == snapshot.release.fingerprint:
        return snapshot.release
    return deps.store.release_by_fingerprint(rollout.service, target.fingerprint) or target


def _on_record(deps: Deps, release: Release) -> bool:
    return deps.store.release(release.service, release.number) is not None
