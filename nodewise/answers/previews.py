"""What a deploy would do, as it is answered: the shapes, and how they follow from a preview.

Of a command only the program is told: its arguments may hold secrets.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from nodewise.answers.rollout_schemas import Answer, Gate
from nodewise.bootstrap import Deps
from nodewise.domain import model
from nodewise.domain.model import Approval, OnFailure
from nodewise.domain.swarm import image_of
from tasks import preview as previewing
from tasks.preview import Preview, Spot


class PlannedNode(Answer):
    """One node that runs the service now: how many tasks, of which tags."""

    node: str
    node_id: str
    tasks: int
    tags: list[str]


class PlannedChore(Answer):
    """What would be done once. ``nodes``: where; empty: once, wherever the swarm puts it."""

    name: str
    nodes: list[str]
    program: str = Field(description="what is run, without its arguments")
    need: int = Field(description="bytes that must be free on each node")


class Obstacle(Answer):
    """What stands in the way now: a lock, another rollout, the window, min_age, misconfigured labels."""

    what: str
    reason: str
    stops: str = Field(description="'everybody', or 'events' which a person's deploy goes past")
    until: float | None = Field(description="when it is over by itself; null where that is not known")


class Change(Answer):
    """One field of the service's spec. null: it is not there."""

    path: str
    old: Any
    new: Any


class PlannedMember(Answer):
    """Another service of the app, which comes along. ``refused``: why its deploy would fail."""

    service: str
    stage: int
    from_image: str
    to_image: str
    nodes: list[str]
    already: str
    in_the_way: list[Obstacle]
    refused: str


class Planned(Answer):
    """What a deploy would do now. Nothing of it has been done."""

    service: str
    from_release: int
    to_release: int
    from_image: str
    to_image: str
    already: str = Field(description="why nothing would be done; empty otherwise")
    strategy: str
    stages: list[list[PlannedNode]] = Field(
        description="the nodes of one stage move together (staged); all are in one where the order is Swarm's"
    )
    rest: list[PlannedNode] = Field(description="nodes of no stage: they follow when the service itself is written")
    gates: list[Gate]
    candidate_gates: list[Gate]
    bake: float
    deadline: float
    watch: float
    on_failure: OnFailure
    approval: Approval = Field(description="when a person is asked; empty: never")
    approval_deadline: float
    chores: list[PlannedChore]
    notes: list[str]
    in_the_way: list[Obstacle]
    changes: list[Change] = Field(description="what the one write would change in the service's spec")
    app: str
    stage: int = Field(description="the service's place in the app's order, counted from 0")
    others: list[PlannedMember]


def preview(deps: Deps, service: str, image: str) -> Planned:
    """Raises UserError as the deploy would end with it, NotFound, RetryLater."""
    return planned(previewing.preview(deps, service, image))


def planned(found: Preview) -> Planned:
    """Pure: a preview into its shape."""
    plan = found.made.plan
    reached = [s for s in found.spots if s.stage is not None]
    return Planned(
        service=found.service,
        from_release=found.from_number,
        to_release=found.made.target.number,
        from_image=image_of(plan.base),
        to_image=image_of(plan.target),
        already=found.already,
        strategy=plan.strategy,
        stages=[[_node(s) for s in reached if s.stage == n] for n in sorted({s.stage or 0 for s in reached})],
        rest=[_node(s) for s in found.spots if s.stage is None],
        gates=[Gate.model_validate(g) for g in plan.gates],
        candidate_gates=[Gate.model_validate(g) for g in plan.candidate_gates],
        bake=plan.bake,
        deadline=plan.deadline,
        watch=plan.watch,
        on_failure=plan.on_failure,
        approval=plan.approval,
        approval_deadline=plan.approval_deadline,
        chores=[_chore(found, c) for c in plan.chores],
        notes=list(plan.notes),
        in_the_way=[Obstacle.model_validate(o) for o in found.obstacles],
        changes=[Change.model_validate(c) for c in found.changes],
        app=found.app,
        stage=found.stage,
        others=[_member(m) for m in found.others],
    )


def _node(spot: Spot) -> PlannedNode:
    return PlannedNode(node=spot.node, node_id=spot.node_id, tasks=spot.tasks, tags=list(spot.tags))


def _chore(found: Preview, chore: model.Chore) -> PlannedChore:
    nodes = sorted(found.node_names.get(n, n) for n in chore.nodes)
    return PlannedChore(name=chore.name, nodes=nodes, program=next(iter(chore.command), ""), need=chore.need)


def _member(member: previewing.Member) -> PlannedMember:
    one = member.preview
    return PlannedMember(
        service=member.service,
        stage=member.stage,
        from_image=image_of(one.made.plan.base) if one else "",
        to_image=image_of(one.made.plan.target) if one else "",
        nodes=[s.node for s in one.spots] if one else [],
        already=one.already if one else "",
        in_the_way=[Obstacle.model_validate(o) for o in one.obstacles] if one else [],
        refused=member.refused,
    )
