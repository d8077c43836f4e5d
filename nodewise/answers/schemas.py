"""The shapes of the answers. With those of what may be asked they are the API's contract and its OpenAPI document.

Times are seconds since the epoch. No shape carries a spec, a body or a build's arguments: they may hold secrets.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from nodewise.answers.rollout_schemas import Answer, Rollout
from nodewise.domain.build import BuildState
from nodewise.domain.delivery import Verdict as DeliveryVerdict
from nodewise.domain.fates import DeliveryState
from nodewise.domain.model import Phase
from nodewise.domain.release import ReleaseState


class Release(Answer):
    """A numbered record of what a service ran."""

    service: str
    number: int
    image: str
    digest: str
    state: ReleaseState
    origin: str
    created_at: float


class Misconfigured(Answer):
    """A label with a value that means nothing. ``nearest``: the right one that was perhaps meant."""

    label: str
    value: str
    allowed: str
    nearest: str


class Replicas(Answer):
    """How many tasks run, and how many there should be."""

    running: int
    wanted: int


class Lock(Answer):
    """Why nothing, or not that one digest, is rolled out to a service. ``digest`` empty: nothing at all is."""

    service: str
    digest: str
    reason: str
    who: str
    at: float


class Candidate(Answer):
    """The service that carries the new release on one node during a staged rollout."""

    id: str
    name: str
    node: str
    rollout: str
    image: str
    tag: str
    digest: str
    replicas: Replicas


class Service(Answer):
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
    locks: list[Lock]
    candidates: list[Candidate]
    rollout: Rollout | None = Field(description="the latest one")


class Task(Answer):
    """One task of a service, as Swarm reports it."""

    id: str
    slot: int
    state: str
    desired: str
    image: str
    up_to_date: bool
    error: str
    at: str


class NodeTasks(Answer):
    """The tasks of a service on one node."""

    node: str
    node_id: str
    state: str
    tasks: list[Task]


class ServiceDetail(Service):
    """A service with its tasks, by node."""

    nodes: list[NodeTasks]


class Event(Answer):
    """What a delivery means, and what it led to."""

    id: str
    kind: str
    data: dict[str, Any]
    origin: str
    created_at: float
    done_at: float | None
    outcome: str


class StartedBuild(Answer):
    """A build that an event has started. ``error``: in full for a single delivery, its first line in lists."""

    id: str
    name: str
    state: BuildState
    error: str


class StartedRollout(Answer):
    """A rollout that an event has started. ``reason``: in full for a single delivery, its first line in lists."""

    id: str
    service: str
    phase: Phase
    reason: str


class Delivery(Answer):
    """One webhook request as it came in, and what became of it.

    ``state`` is of the whole: ``failed`` as soon as a build or a rollout of it has failed, unless the same was
    replayed; else ``waiting`` while anything of it has not ended.
    """

    id: str
    provider: str
    hook: str
    key: str
    verdict: DeliveryVerdict
    note: str
    received_at: float
    size: int
    state: DeliveryState = DeliveryState.HANDLED
    outcomes: list[str] = Field([], description="what came of its events; empty words for one not handled yet")
    builds: list[StartedBuild] = Field([], description="in the order in which they were started")
    rollouts: list[StartedRollout] = Field([], description="without those of an image that a build of it has pushed")


class DeliveryDetail(Delivery):
    """A delivery with its events."""

    events: list[Event]


class Build(Answer):
    """An image made from one commit. ``ended``: it will not change any more; only ``pushed`` is a success.

    ``error``: the step that failed and the last lines that it printed, or why the build was skipped or replaced.
    """

    id: str
    name: str
    repository: str
    ref: str
    commit: str
    image: str
    state: BuildState
    ended: bool = False
    digest: str
    error: str
    event_id: str
    author: str = Field("", description="who wrote the commit")
    message: str = Field("", description="the first line of what the commit says of itself")
    committed_at: float | None = None
    builder: str = Field("", description="the address of the engine that builds it")
    created_at: float
    started_at: float | None
    ended_at: float | None
    duration: float | None = Field(None, description="seconds from its start to its end; null before that")


class LogPiece(Answer):
    """A piece of what a build printed: of any length, not always whole lines. ``seq`` grows within a build."""

    seq: int
    text: str


class Node(Answer):
    """One node of the swarm."""

    id: str
    name: str
    role: str
    state: str
    availability: str
    address: str
    engine_version: str
    labels: dict[str, str]


class Replayed(Answer):
    """How many events of a delivery are handled once more."""

    delivery: str
    events: int


class Unlocked(Answer):
    """How many locks of a service were taken away."""

    service: str
    locks: int


class Services(Answer):
    """All services, by name."""

    services: list[Service]


class Rollouts(Answer):
    """Rollouts, newest first."""

    rollouts: list[Rollout]


class Releases(Answer):
    """Releases of one service, newest first."""

    releases: list[Release]


class Rejected(Answer):
    """How many requests were turned away at one hook for one reason. Nothing else of them is kept."""

    provider: str
    hook: str
    reason: str
    count: int
    last_at: float


class Deliveries(Answer):
    """Deliveries, newest first, and what was turned away at the same hooks since Nodewise was set up."""

    deliveries: list[Delivery]
    rejected: list[Rejected]


class Builds(Answer):
    """Builds, newest first."""

    builds: list[Build]


class Nodes(Answer):
    """All nodes, by name."""

    nodes: list[Node]


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
