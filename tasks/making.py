"""Making a plan: from what runs, what is asked for and what the labels say, to what will be done. Touches nothing.

The same for a rollout that sets out and for ``nodewise plan``, which only shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodewise.bootstrap import Deps
from nodewise.config.labels import ServiceLabels
from nodewise.domain.errors import UserError
from nodewise.domain.images import ImageName
from nodewise.domain.model import Chore, ChoreRun, Plan, Rollout
from nodewise.domain.placement import eligible
from nodewise.domain.release import Release, ReleaseState, with_image
from nodewise.domain.steps import GatePlan, Step
from nodewise.domain.swarm import ResolvedImage
from nodewise.strategies import Terrain, strategy
from tasks.planning import Ground, Snapshot

CONTAINER = GatePlan("container", interval=0.0, successes=1, failures=1)
FEW = 10  # eligible nodes of which all pull ahead: a task may be moved to any of them


@dataclass(frozen=True, slots=True)
class Made:
    """A plan, its steps, and the release that it goes to (``new``: not on record yet)."""

    plan: Plan
    steps: tuple[Step, ...]
    target: Release
    new: bool


def make(deps: Deps, ground: Ground, snapshot: Snapshot, name: ImageName, resolved: ResolvedImage, origin: str) -> Made:
    """Raises UserError for a service that cannot be updated soundly as it asks for."""
    labels = ground.labels
    target, new = _target(deps, ground, snapshot, str(name.pinned(resolved.digest)), resolved, origin)
    gates = (replace(CONTAINER, config={"restarts": labels.restarts}), *labels.gates)
    base = snapshot.base
    terrain = Terrain(
        spec=snapshot.release.spec,
        tasks=ground.tasks,
        nodes=ground.nodes,
        gates=gates,
        bake=labels.bake,
        order=labels.steps,
        candidate_ports=labels.candidate_ports,
        on_failure=labels.on_failure,
    )
    cut = strategy(labels.strategy).plan(terrain)
    plan = Plan(
        strategy=labels.strategy,
        base=base.spec,
        base_print=ground.fingerprint,
        base_mark=ground.service.mark,
        target=target.spec,
        gates=cut.gates,
        bake=labels.bake,
        deadline=labels.deadline,
        update_config=cut.update_config,
        failed_before=tuple(t.id for t in ground.tasks if t.failed and t.image.endswith(resolved.digest)),
        notes=(*cut.notes, *(f"{label} has no effect in this version" for label in labels.not_yet)),
        staged=cut.staged,
        candidate_gates=cut.candidate_gates,
        candidate_ports=labels.candidate_ports if cut.staged else (),
        on_failure=labels.on_failure,
        watch=labels.watch,
        approval=labels.approval,
        approval_deadline=labels.approval_deadline,
        chores=tuple(_chores(deps, ground, labels, target)),
    )
    return Made(plan, cut.steps, target, new)


def prepares(plan: Plan) -> bool:
    """Whether something has to be done or asked before anything moves."""
    return any(c.name != "after" for c in plan.chores) or (bool(plan.approval) and not plan.staged)


def _chores(deps: Deps, ground: Ground, labels: ServiceLabels, target: Release) -> list[Chore]:
    nodes = _concerned(ground)
    chores = []
    if labels.min_free and nodes:
        image = deps.settings.probe_image
        if not image:
            raise UserError(
                "nodewise.disk.min_free is set, and there is no image to look at the disks with",
                "set NODEWISE_PROBE_IMAGE to one with sh and df, such as busybox",
                "nodewise.disk.min_free",
            )
        chores.append(Chore("disk", nodes, image=image, need=labels.min_free))
    if labels.prepull and nodes:
        chores.append(Chore("prepull", nodes, image=target.image))
    if labels.before:
        chores.append(Chore("before", command=labels.before, image=target.image))
    if labels.after:
        chores.append(Chore("after", command=labels.after, image=target.image))
    return chores


def _concerned(ground: Ground) -> tuple[str, ...]:
    """Nodes that run the service now; where few are eligible, all of them: Swarm may choose another one."""
    here = {t.node_id for t in ground.tasks if t.desired == "running" and t.node_id}
    able = [n.id for n in eligible(ground.service.spec, list(ground.nodes.values()))]
    chosen = able if len(able) <= FEW else [n for n in able if n in here]
    return tuple(sorted(chosen))


def _target(
    deps: Deps, ground: Ground, snapshot: Snapshot, image: str, resolved: ResolvedImage, origin: str
) -> tuple[Release, bool]:
    """The release to go to: one on record with that very spec, or a new one."""
    service = ground.service.name
    target = Release(
        service=service,
        number=max(deps.store.next_release_number(service), snapshot.release.number + 1),
        image=image,
        digest=resolved.digest,
        spec=with_image(snapshot.release.spec, image, resolved),
        origin=origin,
        state=ReleaseState.NEW,
        created_at=deps.clock.now(),
    )
    if target.fingerprint == snapshot.release.fingerprint:
        return snapshot.release, False
    known = deps.store.release_by_fingerprint(service, target.fingerprint)
    return (known, False) if known else (target, True)


def as_run(rollout: Rollout, plan: Plan) -> Rollout:
    """*rollout* with the plan's chores still to be done."""
    return replace(rollout, chores=tuple(ChoreRun(c.name) for c in plan.chores))
