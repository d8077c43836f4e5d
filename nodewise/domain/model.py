"""The rollout as a value: its phases, its frozen plan, and one look at the swarm. No behaviour here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nodewise.domain.steps import GatePlan, Reading, Step
from nodewise.domain.swarm import NodeView, ServiceView, Spec, TaskView


class Kind(StrEnum):
    """Which way a rollout goes."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"


class Phase(StrEnum):
    """Where a rollout is."""

    PENDING = "pending"
    QUEUED = "queued"
    MOVING = "moving"
    ROLLING_BACK = "rolling_back"
    SWARM_ROLLING_BACK = "swarm_rolling_back"
    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled_back"
    ROLLED_BACK_BY_SWARM = "rolled_back_by_swarm"
    CHANGED = "changed"
    SUPERSEDED = "superseded"
    FAILED = "failed"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL

    @property
    def active(self) -> bool:
        """Holds the service: at most one such rollout per service, by a unique index in the store."""
        return self in ACTIVE


TERMINAL = frozenset(
    {
        Phase.SUCCEEDED,
        Phase.ROLLED_BACK,
        Phase.ROLLED_BACK_BY_SWARM,
        Phase.CHANGED,
        Phase.SUPERSEDED,
        Phase.FAILED,
    }
)
ACTIVE = frozenset({Phase.MOVING, Phase.ROLLING_BACK, Phase.SWARM_ROLLING_BACK})


@dataclass(frozen=True, slots=True)
class Plan:
    """What was decided when the plan was made, frozen with the rollout. Times are in seconds.

    ``base`` and ``target`` are user's specs (see ``release``); ``base_print`` and ``base_mark`` identify
    the spec that ran at the time of planning, exactly as it stood in the swarm. ``replaces`` names the
    rollout that this one took the service over from: its write may still land after the plan was made.
    ``failed_before`` are tasks of an earlier attempt at the same image: Swarm counts them as up to date,
    and they must not speak against this one.
    """

    strategy: str
    base: Spec
    base_print: str
    base_mark: str
    target: Spec
    gates: tuple[GatePlan, ...] = ()
    bake: float = 0.0
    deadline: float = 600.0
    update_config: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    replaces: str = ""
    failed_before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rollout:
    """The move of one service from one release to another. ``version`` is for compare-and-set.

    ``image`` is what a deploy asked for; ``requested`` the release that a rollback asked for, if any.
    """

    id: str
    service: str
    kind: Kind
    phase: Phase
    origin: str
    created_at: float
    version: int = 0
    image: str = ""
    requested: int | None = None
    event_id: str = ""
    service_id: str = ""
    from_number: int | None = None
    to_number: int | None = None
    plan: Plan | None = None
    steps: tuple[Step, ...] = ()
    reason: str = ""
    failing_task: str = ""
    evidence: str = ""
    started_at: float | None = None
    written_at: float | None = None
    ended_at: float | None = None
    deadline_at: float | None = None

    @property
    def mark(self) -> str:
        """The service label's value once this rollout has written the service."""
        return self.id

    @property
    def back_mark(self) -> str:
        """The same, once it has taken its own write back."""
        return f"{self.id}/rollback"


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at everything that a decision needs."""

    service: ServiceView | None
    tasks: tuple[TaskView, ...] = ()
    nodes: Mapping[str, NodeView] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()
