"""The rollout as a value: its phases, its frozen plan, and one look at the swarm. No behaviour here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nodewise.domain.ids import time_of
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
    WAITING = "waiting"
    PREPARING = "preparing"
    STAGING = "staging"
    MOVING = "moving"
    FINISHING = "finishing"
    WATCHING = "watching"
    ROLLING_BACK = "rolling_back"
    SWARM_ROLLING_BACK = "swarm_rolling_back"
    CLEARING = "clearing"
    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled_back"
    ROLLED_BACK_BY_SWARM = "rolled_back_by_swarm"
    CHANGED = "changed"
    SUPERSEDED = "superseded"
    ABORTED = "aborted"
    FROZEN = "frozen"
    FAILED = "failed"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL

    @property
    def active(self) -> bool:
        """Holds the service: at most one such rollout per service, by a unique index in the store."""
        return self in ACTIVE

    @property
    def going(self) -> bool:
        """Looks at the swarm again and again: it holds the service, or clears up what it made."""
        return self in ACTIVE or self is Phase.CLEARING


TERMINAL = frozenset(
    {
        Phase.SUCCEEDED,
        Phase.ROLLED_BACK,
        Phase.ROLLED_BACK_BY_SWARM,
        Phase.CHANGED,
        Phase.SUPERSEDED,
        Phase.ABORTED,
        Phase.FROZEN,
        Phase.FAILED,
    }
)
ACTIVE = frozenset(
    {
        Phase.PREPARING,
        Phase.STAGING,
        Phase.MOVING,
        Phase.FINISHING,
        Phase.WATCHING,
        Phase.ROLLING_BACK,
        Phase.SWARM_ROLLING_BACK,
    }
)
COMING = frozenset({Phase.PENDING, Phase.QUEUED, Phase.WAITING, Phase.PREPARING, Phase.STAGING, Phase.MOVING})


class OnFailure(StrEnum):
    """What follows a veto."""

    ROLLBACK = "rollback"
    PAUSE = "pause"
    FREEZE = "freeze"


class Approval(StrEnum):
    """When a person is asked: never, once before the new release takes over, or after every step as well."""

    NEVER = ""
    ONCE = "once"
    EACH = "each"


@dataclass(frozen=True, slots=True)
class Chore:
    """Something done once for the whole rollout: ``disk``, ``prepull``, ``before``, ``after``.

    ``nodes``: where (empty: wherever the swarm puts it). ``command``: the words to run, none for a pre-pull.
    """

    name: str
    nodes: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    image: str = ""
    need: int = 0  # bytes that must be free, for ``disk``


@dataclass(frozen=True, slots=True)
class ChoreRun:
    """How a chore went. ``made``: its helper service has been seen in the swarm; it is not made a second time."""

    name: str
    made: bool = False
    done: bool = False
    failed: bool = False
    attempts: int = 1
    detail: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class Approved:
    """A person's yes: to what (``write``, or the number of a step), by whom, when, and bound to which digest."""

    what: str
    who: str
    at: float
    digest: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What was decided when the plan was made, frozen with the rollout. Times are in seconds.

    ``base`` and ``target`` are user's specs (see ``release``); ``base_print`` and ``base_mark`` identify
    the spec that ran at the time of planning, exactly as it stood in the swarm. ``replaces`` names the
    rollout that this one took the service over from: its write may still land after the plan was made.
    ``adopts``: that one's mark, where the service was on its way to this very target already. It is not written once
    more: for Swarm any write is another update, which takes a task on its way for one that is done.
    ``failed_before`` are tasks of an earlier attempt at the same image: Swarm counts them as up to date,
    and they must not speak against this one.

    ``staged``: candidates walk the steps before the service itself is written; ``candidate_gates`` are read on
    them, and ``candidate_ports`` published by them (target port, host port).
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
    adopts: str = ""
    failed_before: tuple[str, ...] = ()
    staged: bool = False
    candidate_gates: tuple[GatePlan, ...] = ()
    candidate_ports: tuple[tuple[int, int], ...] = ()
    on_failure: OnFailure = OnFailure.ROLLBACK
    watch: float = 0.0
    approval: Approval = Approval.NEVER
    approval_deadline: float = 86400.0
    chores: tuple[Chore, ...] = ()

    def chore(self, name: str) -> Chore | None:
        return next((c for c in self.chores if c.name == name), None)


@dataclass(frozen=True, slots=True)
class Rollout:
    """The move of one service from one release to another. ``version`` is for compare-and-set.

    ``image`` is what a deploy asked for; ``requested`` the release that a rollback asked for, if any.
    ``held``: why nothing new is begun for now; empty when it is not held. ``abort``: who asked for its end.
    ``turned``: the cause that turned it round. ``ends_as``: the ending that is reached once it has cleared up.
    ``helpers``: whether it has made services of its own. ``idle_since``: since when its deadline stands still.
    ``queued_at``: since when it waits for its service, which another one holds.
    ``remaining``: how few tasks were not back yet at any look since it turned round.
    ``app_rollout`` and ``stage``: which rollout of a whole app it belongs to, and its place there.
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
    queued_at: float | None = None
    started_at: float | None = None
    written_at: float | None = None
    ended_at: float | None = None
    deadline_at: float | None = None
    held: str = ""
    abort: str = ""
    turned: str = ""
    ends_as: Phase | None = None
    helpers: bool = False
    chores: tuple[ChoreRun, ...] = ()
    approvals: tuple[Approved, ...] = ()
    idle_since: float | None = None
    watch_until: float | None = None
    remaining: int | None = None
    app_rollout: str = ""
    stage: int = 0

    @property
    def mark(self) -> str:
        """The service label's value once this rollout has written the service."""
        return (self.plan.adopts if self.plan else "") or self.id

    @property
    def asked(self) -> str:
        """When it was asked for, as text that sorts: by its event, however late the event was turned into it."""
        return time_of(self.event_id or self.id)

    @property
    def settled(self) -> bool:
        """Whether what it brings is what the service is about to run, or runs because of it."""
        if self.phase.active or self.phase is Phase.QUEUED:
            return True
        return (self.ends_as or self.phase) is Phase.SUCCEEDED and self.started_at is not None

    @property
    def back_mark(self) -> str:
        """The same, once it has taken its own write back."""
        return f"{self.id}/rollback"

    def chore(self, name: str) -> ChoreRun | None:
        return next((c for c in self.chores if c.name == name), None)


@dataclass(frozen=True, slots=True)
class Helper:
    """A service that a rollout made for itself, with its tasks and what some of them printed (by task id)."""

    service: ServiceView
    tasks: tuple[TaskView, ...] = ()
    logs: Mapping[str, str] = field(default_factory=dict)

    @property
    def purpose(self) -> str:
        return self.service.helper


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at everything that a decision needs. ``newer``: a later deploy that waits for this one's service.

    ``newer_since``: since when it does; what it waited for before that, its window or its tag's age, is not counted.
    """

    service: ServiceView | None
    tasks: tuple[TaskView, ...] = ()
    nodes: Mapping[str, NodeView] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()
    helpers: tuple[Helper, ...] = ()
    newer: str = ""
    newer_since: float = 0.0

    def helper(self, purpose: str) -> Helper | None:
        return next((h for h in self.helpers if h.purpose == purpose), None)
