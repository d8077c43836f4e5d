"""plan: turn an event into rollouts and builds, and a requested rollout into a frozen plan.

The plan asks the registry what the image is, keeps the running spec as a release, cuts the steps, and
saves all of it in one transaction. Nothing in the swarm has been touched by then.
"""

from __future__ import annotations

from dataclasses import replace

from nodewise.bootstrap import Deps
from nodewise.config.labels import ServiceLabels
from nodewise.domain.errors import Conflict, NotFound, RetryLater, UserError
from nodewise.domain.events import AlertFired, CodePushed, ImagePushed
from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.locks import Lock, against
from nodewise.domain.release import digest_of
from nodewise.domain.rollout import COMING, Cause, Kind, Phase, Rollout, Seen, detect, move
from nodewise.domain.swarm import ResolvedImage
from tasks import making, planning, routing
from tasks.advance import step
from tasks.outcome import DONE, Outcome
from tasks.planning import Ground

AGAIN = 5.0  # seconds
TAG_SETTLES = 5.0  # seconds that a pushed tag may still stand for what it stood for before


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
        case AlertFired() as event:
            matches = [routing.route_alert(deps, stored, event)]
            nothing = ""
    jobs = deps.store.finish_event(
        event_id,
        routing.told(matches) or nothing,
        deps.clock.now(),
        rollouts=[r for m in matches for r in m.rollouts],
        builds=[m.build for m in matches if m.build],
    )
    return Outcome(jobs)


def plan_rollout(deps: Deps, rollout_id: str) -> Outcome:
    """Make the plan of one requested deploy, or say why there is none, or not yet."""
    rollout = deps.store.rollout(rollout_id)
    if rollout is None or rollout.phase is not Phase.PENDING:
        return DONE
    resolving = deps.aside.submit(_resolve, deps, rollout)
    ground = planning.survey(deps, rollout.service)
    if ground is None:
        return planning.refuse(deps, rollout, f"the swarm has no service {rollout.service!r}")
    wait = (
        _overtaken(deps, rollout) or _outdated(deps, rollout, ground.labels) or _not_yet(deps, rollout, ground.labels)
    )
    if wait is not None:
        return wait
    try:
        name, resolved = resolving.result()
        lock = _lock(deps, rollout, resolved.digest)
        if lock is not None:
            return planning.refuse(deps, rollout, f"{lock}; 'nodewise unlock {rollout.service}' takes the lock away")
        if ground.labels.strategy == "cells" and not rollout.app_rollout:
            return _as_an_app(deps, rollout, ground.labels)
        if ground.active is not None and not _gives_way(deps, rollout, ground, ground.active, resolved.digest):
            return _wait_or_drop(deps, rollout, ground.active, resolved.digest)
        return _set_out(deps, rollout, ground, name, resolved)
    except Conflict:
        raise  # another rollout was quicker to the service, or to the place behind it: no fault of this one's
    except UserError as error:
        return planning.refuse(deps, rollout, str(error))


def _overtaken(deps: Deps, rollout: Rollout) -> Outcome | None:
    """Workers plan side by side: what was asked for later may have come first, and is not to be replaced by this.

    A service of an app goes by its app's order.
    """
    if rollout.app_rollout:
        return None
    others = deps.store.rollouts(rollout.service, outline=True)
    newer = next((r for r in others if r.asked > rollout.asked and r.settled), None)
    return planning.end(deps, rollout, Cause.REPLACED, f"replaced by the newer {newer.id}") if newer else None


def _outdated(deps: Deps, rollout: Rollout, labels: ServiceLabels) -> Outcome | None:
    """Several tags of one push are planned side by side, in any order: none replaces what is newer by its policy."""
    if not rollout.event_id or labels.track is None:
        return None
    tag = ImageName.parse(rollout.image).tag
    for other in routing.on_its_way(deps, rollout.service):
        there = ImageName.parse(other.image).tag
        if other.id != rollout.id and labels.track.newer(there, tag) and not labels.track.newer(tag, there):
            return planning.end(deps, rollout, Cause.REPLACED, f"replaced by {other.id}: {there} is newer than {tag}")
    return None


def _resolve(deps: Deps, rollout: Rollout) -> tuple[ImageName, ResolvedImage]:
    """What the registry says is to be rolled out. Raises UserError, RetryLater.

    A digest that came with an event is a hint: what counts is what the tag stands for. A registry may tell of a push
    before it writes the tag (distribution, registry/handlers), so the tag is given a moment. If it stands for
    something else then, the event is old, or the tag has been pushed again: the tag is right.
    """
    name = ImageName.parse(rollout.image)
    if not (rollout.event_id and name.tag and name.digest):
        return resolve(deps, rollout.image)
    settled = deps.clock.now() >= rollout.created_at + TAG_SETTLES
    try:
        found = deps.engine.resolve(replace(name, digest=""))
    except NotFound:
        if settled:
            raise
    else:
        if settled or found.digest == name.digest:
            return name.pinned(found.digest), found
    raise RetryLater(f"the tag {name.tag} does not stand for what {rollout.origin} told yet", delay=0.2)


def resolve(deps: Deps, image: str) -> tuple[ImageName, ResolvedImage]:
    """What the registry says *image* is; a digest is asked for by itself. Raises UserError, RetryLater."""
    name = ImageName.parse(image)
    return name, deps.engine.resolve(replace(name, tag="") if name.digest else name)


def _not_yet(deps: Deps, rollout: Rollout, labels: ServiceLabels) -> Outcome | None:
    """Why an event's rollout does not begin now: a newer one, its tag's age, the time of the week. A person's does."""
    if not rollout.event_id:
        return None
    now = deps.clock.now()
    newer = [r for r in deps.store.pending_rollouts(rollout.service) if r.event_id and r.id > rollout.id]
    waiting = bool(labels.min_age) or labels.window is not None
    if newer and waiting:
        return planning.end(deps, rollout, Cause.REPLACED, f"replaced by the newer {newer[-1].id}")
    old_enough = rollout.created_at + labels.min_age
    if now < old_enough:
        return planning.hold(deps, rollout, f"waits until its tag is {labels.min_age:g} s old", old_enough)
    opens = labels.window.next_open(now) if labels.window else now
    if opens is None or opens > now:
        return planning.hold(deps, rollout, f"waits for the window {labels.window}", opens or now + 86400)
    return None


def _lock(deps: Deps, rollout: Rollout, digest: str) -> Lock | None:
    """What forbids this rollout. A person may insist on a digest that was taken back; a service's lock is for all."""
    lock = against(deps.store.locks(rollout.service), digest)
    if lock is not None and lock.digest and not rollout.event_id:
        deps.store.remove_locks(rollout.service, rollout.origin, deps.clock.now(), lock.digest)
        return None
    return lock


def _gives_way(deps: Deps, rollout: Rollout, ground: Ground, active: Rollout, digest: str) -> bool:
    """Whether *active* may be taken over now: it is between two tasks, by its own policy and this very look."""
    if active.phase is not Phase.MOVING or _brings(active, digest):
        return False
    seen = Seen(ground.service, ground.tasks, ground.nodes, newer=rollout.id, newer_since=deps.clock.now())
    return detect(active, seen, deps.clock.now()).cause is Cause.WAY_FREE


def _brings(active: Rollout, digest: str) -> bool:
    return active.plan is not None and digest_of(active.plan.target) == digest and active.kind is Kind.DEPLOY


def _wait_or_drop(deps: Deps, rollout: Rollout, active: Rollout, digest: str) -> Outcome:
    """Another rollout holds the service: wait for it to make way, unless it brings the very same digest."""
    if _brings(active, digest) and active.phase in (*COMING, Phase.FINISHING, Phase.WATCHING):
        return planning.end(deps, rollout, Cause.REPLACED, f"the same digest is on its way already in {active.id}")
    now = deps.clock.now()
    older = [
        move(r, Cause.REPLACED, now, f"replaced by the newer {rollout.id}")
        for r in deps.store.queued_rollouts(rollout.service)
    ]
    waiting = move(rollout, Cause.BUSY, now, f"waits for {active.id}")
    jobs = (Job(Verb.ADVANCE, active.id), *planning.wake(older))
    *_, saved = deps.store.save_rollouts([*older, waiting], now, jobs=jobs)
    if deps.store.active_rollout(rollout.service) is None:
        # It ended meanwhile, and may not have seen us waiting. If it has, this loses the race.
        deps.store.save_rollouts([move(saved, Cause.FREED, now)], now)
        return Outcome(again_at=now)
    return Outcome(jobs)


def _as_an_app(deps: Deps, rollout: Rollout, labels: ServiceLabels) -> Outcome:
    """One service of an app was asked for: the others that run the same image come along, each in its turn."""
    now = deps.clock.now()
    members = routing.app_members(deps, labels.app, ImageName.parse(rollout.image), rollout, now)
    own = next((m for m in members if m.id == rollout.id), None)
    if own is None:
        hint = f"its services run another repository than {rollout.image}"
        return planning.refuse(deps, rollout, f"{rollout.service} is part of the app {labels.app!r}, and {hint}")
    jobs = (Job(Verb.ADVANCE, own.app_rollout),)
    deps.store.save_rollouts([own], now, jobs=jobs, new=[m for m in members if m is not own])
    return Outcome(jobs)


def _set_out(deps: Deps, rollout: Rollout, ground: Ground, name: ImageName, resolved: ResolvedImage) -> Outcome:
    """Begin: a rollout that makes way ends in the same transaction, so that the service is somebody's all the time."""
    now = deps.clock.now()
    snapshot = planning.snapshot(deps, ground)
    made = making.make(deps, ground, snapshot, name, resolved, f"{rollout.origin}, {rollout.id}")
    told_again = bool(rollout.event_id) and digest_of(ground.service.spec) == resolved.digest  # by another of its tags
    if told_again or planning.runs_already(ground, snapshot.release, made.target):
        reason = f"{ground.service.name} runs {ground.service.image if told_again else made.target.image} already"
        return planning.end(deps, rollout, Cause.ALREADY_THERE, reason, snapshot.new)
    if ground.active is not None and (making.prepares(made.plan) or made.plan.staged):
        return planning.hold(deps, rollout, f"waits for the end of {ground.active.id}", now + AGAIN)
    cause = (
        Cause.CHORES
        if making.prepares(made.plan)
        else Cause.READY_TO_STAGE
        if made.plan.staged
        else Cause.READY_TO_WRITE
    )
    planned = planning.started(rollout, ground, made.plan, snapshot.base.number, made.target.number, now, cause)
    planned = making.as_run(planning.with_steps(planned, made.steps), made.plan)
    replaced = _replaced(deps, rollout, ground.active, now)
    jobs = (Job(Verb.ADVANCE, rollout.id),)
    new = (*snapshot.new, *((made.target,) if made.new else ()))
    try:
        states = snapshot.proven
        *_, planned = deps.store.save_rollouts(
            [*replaced, planned],
            now,
            releases=new,
            release_states=states,
            jobs=(*jobs, *planning.wake(replaced)),
        )
    except Conflict:
        return Outcome(again_at=now)  # another rollout took the service between our look and our save
    # What was seen for the plan is the first look as well; the job that looks again stands in the outbox.
    first = Seen(ground.service, ground.tasks, ground.nodes)
    return Outcome((*jobs, *step(deps, planned, first).jobs))


def _replaced(deps: Deps, rollout: Rollout, active: Rollout | None, now: float) -> list[Rollout]:
    """Those that end where *rollout* takes over: the one that makes way, and an older one that waited for that."""
    if active is None:
        return []
    others = [*deps.store.queued_rollouts(rollout.service), active]
    return [move(r, Cause.REPLACED, now, f"replaced by the newer {rollout.id}") for r in others]
