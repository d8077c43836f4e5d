"""preview: exactly what a deploy would do, without doing it. Saves nothing and touches nothing.

It is made of the same parts as the plan of a deploy, so that the two cannot part ways. What a deploy would be refused
for is raised; what it would only meet (a lock, another rollout) stands in the preview.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from nodewise.bootstrap import Deps
from nodewise.domain.errors import NotFound, UserError
from nodewise.domain.images import ImageName
from nodewise.domain.locks import Lock
from nodewise.domain.model import Kind, Phase, Rollout
from nodewise.domain.release import digest_of, keeping_scale, marked
from nodewise.domain.rollout import COMING
from nodewise.domain.steps import first_steps
from nodewise.domain.swarm import ResolvedImage
from nodewise.intake import found_service, wanted_image
from tasks import making, planning, routing
from tasks.changes import Change, spec_changes
from tasks.making import Made
from tasks.plan import resolve
from tasks.planning import Ground

MARK = "(the rollout's id)"
EVERYBODY, EVENTS = "everybody", "events"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in the way now: a ``lock``, a ``rollout``, the ``window``, ``min_age``, or misconfigured ``labels``.

    ``stops``: everybody, or events only, which a person's deploy goes past. ``until``: when it is over by itself, in
    seconds since the epoch; None where that is not known.
    """

    what: str
    reason: str
    stops: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """One node that runs the service now: how many tasks, and of which tags. ``stage`` None: no step reaches it."""

    node_id: str
    node: str
    tasks: int
    tags: tuple[str, ...]
    stage: int | None


@dataclass(frozen=True, slots=True)
class Member:
    """Another service of the same app, which the deploy would take along. ``refused``: why that would fail."""

    service: str
    stage: int
    preview: Preview | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be done. ``already``: why nothing would be. ``app`` and ``others``: with cells, who comes along.

    ``node_names``: of every node of the swarm, by id.
    """

    service: str
    from_number: int
    made: Made
    spots: tuple[Spot, ...]
    obstacles: tuple[Obstacle, ...]
    changes: tuple[Change, ...]
    node_names: Mapping[str, str]
    already: str = ""
    app: str = ""
    stage: int = 0
    others: tuple[Member, ...] = ()


def preview(deps: Deps, service: str, image: str) -> Preview:
    """*image* as for a deploy. Raises UserError as the deploy would end with it, RetryLater."""
    found_service(deps, service)
    ground = _ground(deps, service)
    name, resolved = resolve(deps, str(wanted_image(image, ground.service.image)))
    if ground.labels.strategy != "cells":
        return _one(deps, ground, name, resolved)
    return _of_app(deps, ground, name, resolved)


def _ground(deps: Deps, service: str) -> Ground:
    ground = planning.survey(deps, service)
    if ground is None:
        raise NotFound(f"the swarm has no service {service!r}", "see 'nodewise status'", "service")
    return ground


def _one(deps: Deps, ground: Ground, name: ImageName, resolved: ResolvedImage) -> Preview:
    snapshot = planning.snapshot(deps, ground)
    made = making.make(deps, ground, snapshot, name, resolved, "preview")
    running, plan = ground.service.spec, made.plan
    there = planning.runs_already(ground, snapshot.release, made.target)
    written = marked(keeping_scale(plan.target, running), MARK, plan.update_config)
    return Preview(
        service=ground.service.name,
        from_number=snapshot.base.number,
        made=made,
        spots=tuple(_spots(ground, made)),
        obstacles=tuple(_obstacles(deps, ground, resolved.digest)),
        node_names={n.id: n.name for n in ground.nodes.values()},
        changes=() if there else spec_changes(running, written),
        already=f"{ground.service.name} runs {made.target.image} already" if there else "",
    )


def _of_app(deps: Deps, ground: Ground, name: ImageName, resolved: ResolvedImage) -> Preview:
    service, app = ground.service.name, ground.labels.app
    asked = Rollout("", service, Kind.DEPLOY, Phase.PENDING, "preview", 0.0, image=str(name))
    members = routing.app_members(deps, app, name, asked, deps.clock.now())
    own = next((m for m in members if m.service == service), None)
    if own is None:
        raise UserError(f"{service} is part of the app {app!r}, and its services run another repository than {name}")
    others = tuple(_member(deps, m, name, resolved) for m in members if m is not own)
    return replace(_one(deps, ground, name, resolved), app=app, stage=own.stage, others=others)


def _member(deps: Deps, member: Rollout, name: ImageName, resolved: ResolvedImage) -> Member:
    try:
        made = _one(deps, _ground(deps, member.service), name, resolved)
    except UserError as error:
        return Member(member.service, member.stage, refused=str(error))
    return Member(member.service, member.stage, made)


def _spots(ground: Ground, made: Made) -> Iterator[Spot]:
    """The nodes of the steps in their order, then those that no step reaches."""
    here = [t for t in ground.tasks if t.desired == "running" and t.node_id]
    count = Counter(t.node_id for t in here)
    stages = {s.node_id: s.stage for s in made.steps}
    rest = [s for s in first_steps(ground.tasks, ground.nodes) if s.node_id not in stages]
    for step in (*made.steps, *rest):
        tags = {_tag(t.image) for t in here if t.node_id == step.node_id}
        yield Spot(step.node_id, step.node, count[step.node_id], tuple(sorted(tags)), stages.get(step.node_id))


def _tag(image: str) -> str:
    """The tag; of an image without one, what there is."""
    try:
        name = ImageName.parse(image)
    except UserError:
        return image
    return name.tag or name.digest or image


def _obstacles(deps: Deps, ground: Ground, digest: str) -> Iterator[Obstacle]:
    labels, now = ground.labels, deps.clock.now()
    yield from (_lock(lock) for lock in deps.store.locks(ground.service.name) if lock.digest in ("", digest))
    if ground.active is not None:
        yield _rollout(ground.active, digest)
    if labels.window is not None and not labels.window.open(now):
        yield Obstacle("window", f"the window {labels.window} is closed", EVENTS, labels.window.next_open(now))
    if labels.min_age:
        yield Obstacle("min_age", f"an event waits until its tag is {labels.min_age:g} s old", EVENTS)
    for problem in labels.problems:
        yield Obstacle("labels", f"{problem}; as long as it stands there it counts as not set", EVENTS)


def _lock(lock: Lock) -> Obstacle:
    way_out = "a person's deploy" if lock.digest else f"'nodewise unlock {lock.service}'"
    return Obstacle("lock", f"{lock}; {way_out} takes the lock away", EVENTS if lock.digest else EVERYBODY)


def _rollout(active: Rollout, digest: str) -> Obstacle:
    """As ``plan`` deals with a service that another rollout holds."""
    same = active.kind is Kind.DEPLOY and active.plan is not None and digest_of(active.plan.target) == digest
    if same and active.phase in (*COMING, Phase.FINISHING, Phase.WATCHING):
        return Obstacle("rollout", f"the same digest is on its way already in {active.id}", EVERYBODY)
    phase = active.phase.value.replace("_", " ")
    reason = f"a deploy waits for {active.id}, which is {phase}, and its plan is made when that makes way"
    return Obstacle("rollout", reason, EVERYBODY)
