"""The shapes of the answers, and of what may be asked. They are the API's contract and its OpenAPI document.

Times are seconds since the epoch. No shape carries a spec, a body or a build's arguments: they may hold secrets.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nodewise.domain.build import BuildState
from nodewise.domain.delivery import Verdict as DeliveryVerdict
from nodewise.domain.release import ReleaseState
from nodewise.domain.rollout import Kind, Phase
from nodewise.domain.steps import StepState, Verdict


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Streak(_Answer):
    """A gate's latest row of equal verdicts on one node."""

    gate: str
    passes: int
    fails: int
    read_at: float
    detail: str


class Step(_Answer):
    """One node of a rollout. ``since``: when its present state began."""

    node: str
    node_id: str
    state: StepState
    since: float
    detail: str
    tasks: list[str]
    streaks: list[Streak]


class Gate(_Answer):
    """One gate as frozen in the plan. ``interval`` in seconds."""

    name: str
    interval: float
    successes: int
    failures: int
    config: dict[str, Any]


class Reading(_Answer):
    """One answer of one gate about one node."""

    gate: str
    node_id: str
    task_id: str
    verdict: Verdict
    detail: str
    at: float


class Rollout(_Answer):
    """The move of one service from one release to another. ``ended``: it will not change any more."""

    id: str
    service: str
    kind: Kind
    phase: Phase
    ended: bool
    version: int
    origin: str
    image: str = Field(description="what a deploy asked for")
    requested: int | None = Field(description="the release that a rollback asked for")
    from_release: int | None
    to_release: int | None
    from_image: str = Field(description="empty until the rollout is planned")
    to_image: str
    strategy: str
    bake: float
    deadline: float | None = Field(description="seconds; null until the rollout is planned")
    notes: list[str]
    gates: list[Gate]
    steps: list[Step]
    reason: str
    failing_task: str
    evidence: str
    event_id: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    deadline_at: float | None


class RolloutDetail(Rollout):
    """A rollout with what its gates have answered."""

    readings: list[Reading]


class Release(_Answer):
    """A numbered record of what a service ran."""

    service: str
    number: int
    image: str
    digest: str
    state: ReleaseState
    origin: str
    created_at: float


class Misconfigured(_Answer):
    """A label with a value that means nothing. ``nearest``: the right one that was perhaps meant."""

    label: str
    value: str
    allowed: str
    nearest: str


class Replicas(_Answer):
    """How many tasks run, and how many there should be."""

    running: int
    wanted: int


class Service(_Answer):
    """One service of the swarm. ``release`` is null for one that Nodewise has never moved."""

    id: str
    name: str
    mode: str
    image: str
    tag: str
    digest: str
    release: int | None
    track: str | None
    replicas: Replicas
    update_state: str
    problems: list[Misconfigured]
    rollout: Rollout | None = Field(description="the latest one")


class Task(_Answer):
    """One task of a service, as Swarm reports it."""

    id: str
    slot: int
    state: str
    desired: str
    image: str
    up_to_date: bool
    error: str
    at: str


class NodeTasks(_Answer):
    """The tasks of a service on one node."""

    node: str
    node_id: str
    state: str
    tasks: list[Task]


class ServiceDetail(Service):
    """A service with its tasks, by node."""

    nodes: list[NodeTasks]


class Event(_Answer):
    """What a delivery means, and what it led to."""

    id: str
    kind: str
    data: dict[str, Any]
    origin: str
    created_at: float
    done_at: float | None
    outcome: str


class Delivery(_Answer):
    """One webhook request as it came in."""

    id: str
    provider: str
    hook: str
    key: str
    verdict: DeliveryVerdict
    note: str
    received_at: float
    size: int


class DeliveryDetail(Delivery):
    """A delivery with its events."""

    events: list[Event]


class Build(_Answer):
    """An image made from one commit."""

    id: str
    name: str
    repository: str
    ref: str
    commit: str
    image: str
    state: BuildState
    digest: str
    error: str
    event_id: str
    created_at: float
    started_at: float | None
    ended_at: float | None


class Node(_Answer):
    """One node of the swarm."""

    id: str
    name: str
    role: str
    state: str
    availability: str
    address: str
    engine_version: str
    labels: dict[str, str]


class Replayed(_Answer):
    """How many events of a delivery are handled once more."""

    delivery: str
    events: int


class Services(_Answer):
    """All services, by name."""

    services: list[Service]


class Rollouts(_Answer):
    """Rollouts, newest first."""

    rollouts: list[Rollout]


class Releases(_Answer):
    """Releases of one service, newest first."""

    releases: list[Release]


class Deliveries(_Answer):
    """Deliveries, newest first."""

    deliveries: list[Delivery]


class Builds(_Answer):
    """Builds, newest first."""

    builds: list[Build]


class Nodes(_Answer):
    """All nodes, by name."""

    nodes: list[Node]


class _Asked(BaseModel):
    """A word that means nothing is refused: a misspelt one must not be taken for its absence."""

    model_config = ConfigDict(extra="forbid")


class ServiceName(_Asked):
    name: str = Field(description="the service's name")


class Id(_Asked):
    id: str


class Page(_Asked):
    limit: int = Field(50, ge=1, le=500)


class DeliveriesPage(Page):
    before: str | None = Field(None, description="only those older than this delivery")


class RolloutsPage(Page):
    service: str | None = Field(None, description="only this service's")
    active: bool = Field(False, description="only those that have not ended")


class LogPage(_Asked):
    after: int = Field(0, ge=0, description="the Nodewise-Log-Next of the answer before")


class Deploy(_Asked):
    """What to move the service to."""

    image: str = Field("", max_length=512, description="empty: what the service's own tag is in the registry now")


class Rollback(_Asked):
    """Where to take the service back to."""

    to: int | None = Field(
        None, strict=True, ge=1, description="a release number; null: the good one before the present one"
    )


class FieldError(BaseModel):
    """What is wrong with one part of a request."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details. ``hint`` says the way out."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    hint: str | None = None
    field: str | None = None
    errors: list[FieldError] | None = None
