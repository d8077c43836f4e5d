"""The shape of a rollout in the answers, with everything that belongs to one. See ``schemas`` for the others.

Times are seconds since the epoch.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nodewise.domain.model import Approval, Kind, OnFailure, Phase
from nodewise.domain.steps import StepState, Verdict


class Answer(BaseModel):
    """What every answer's shape has in common."""

    model_config = ConfigDict(from_attributes=True)


class Streak(Answer):
    """A gate's latest row of equal verdicts on one node."""

    gate: str
    passes: int
    fails: int
    read_at: float
    detail: str


class Step(Answer):
    """One node of a rollout. ``since``: when its present state began."""

    node: str
    node_id: str
    state: StepState
    since: float
    detail: str
    tasks: list[str]
    streaks: list[Streak]
    stage: int = Field(description="nodes of one stage move together, the next stage after it; counted from 0")
    size: int = Field(description="how many tasks the service had there")


class Gate(Answer):
    """One gate as frozen in the plan. ``interval`` in seconds."""

    name: str
    interval: float
    successes: int
    failures: int
    config: dict[str, Any]


class Reading(Answer):
    """One answer of one gate about one node."""

    gate: str
    node_id: str
    task_id: str
    verdict: Verdict
    detail: str
    at: float


class ChoreState(StrEnum):
    """How far a chore is."""

    WAITING = "waiting"
    DOING = "doing"
    DONE = "done"
    FAILED = "failed"


class Chore(Answer):
    """What is done once for the whole rollout: ``disk``, ``prepull``, ``before``, ``after``."""

    name: str
    state: ChoreState
    detail: str
    attempts: int
    log: str = Field(description="the end of what it printed; left out in lists")


class Approved(Answer):
    """A person's yes, bound to a digest. ``what``: ``write`` (the new release takes over) or ``stage N``."""

    what: str
    who: str
    at: float
    digest: str


class Member(Answer):
    """Another rollout of the same app's rollout."""

    id: str
    service: str
    kind: Kind
    phase: Phase
    stage: int
    held: str
    reason: str


class App(Answer):
    """The app whose services move in order, and how far the others are. ``name``: empty until one is planned."""

    name: str
    others: list[Member]


class Rollout(Answer):
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
    candidate_gates: list[Gate] = Field(description="those that are asked on the candidates (staged)")
    steps: list[Step]
    chores: list[Chore]
    on_failure: OnFailure
    held: str = Field(description="why nothing new is begun for now; empty when it is not held")
    approval: Approval = Field(description="when a person is asked; empty: never")
    waits_for: str = Field(description="what a person must approve now: 'write' or 'stage N'; empty: nothing")
    approve_until: float | None = Field(description="when it is called off for want of that approval")
    approvals: list[Approved]
    abort: str = Field(description="who has asked for its end")
    app_rollout: str = Field(description="the rollout of a whole app that it belongs to")
    stage: int = Field(description="its service's place in the app's order, counted from 0")
    app: App | None = Field(description="that app, where one rollout is asked for or followed")
    watch: float = Field(description="seconds that the gates are watched after the last step")
    watch_until: float | None
    ends_as: Phase | None = Field(description="the ending that is reached once it has cleared up")
    reason: str
    failing_task: str
    evidence: str
    event_id: str
    created_at: float
    started_at: float | None
    written_at: float | None = Field(description="when the service itself was written; null: it was not")
    ended_at: float | None
    deadline_at: float | None


class RolloutDetail(Rollout):
    """A rollout with what its gates have answered."""

    readings: list[Reading]
