"""What the simulated managers have on record: tasks, services, nodes. Values only; nothing here acts.

Names and numbers of the states are swarmkit's (api/types.proto): they are ordered, and the order is used.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum

from nodewise.domain.swarm import NodeView, ServiceView, TaskView
from nodewise.testing.app import App
from nodewise.testing.revision import Revision
from nodewise.testing.timeline import Act, Timer


class TaskState(IntEnum):
    """Observed and desired states of a task."""

    NEW = 0
    PENDING = 64
    ASSIGNED = 192
    ACCEPTED = 256
    PREPARING = 320
    READY = 384
    STARTING = 448
    RUNNING = 512
    COMPLETE = 576
    SHUTDOWN = 640
    FAILED = 704
    REJECTED = 768
    REMOVE = 800
    ORPHANED = 832


WORDS = {state: state.name.lower() for state in TaskState}

UPDATING, COMPLETED, PAUSED = "updating", "completed", "paused"
ROLLBACK_STARTED, ROLLBACK_COMPLETED, ROLLBACK_PAUSED = "rollback_started", "rollback_completed", "rollback_paused"


@dataclass(slots=True, eq=False)
class Node:
    """One node. ``view`` is replaced on every change; ``reachable``: its agent hears and is heard.

    ``cpus`` (in NanoCPUs) and ``memory`` (in bytes) are what is not reserved yet.
    """

    view: NodeView
    cpus: int
    memory: int
    reachable: bool = True
    down_since: float = 0.0
    images: dict[str, float] = field(default_factory=dict)  # key to when its pull is done
    tasks: dict[str, Task] = field(default_factory=dict)  # bound to it, and not ended
    active: int = 0
    active_by_service: dict[str, int] = field(default_factory=dict)
    ports: dict[tuple[str, int], str] = field(default_factory=dict)
    failures: dict[tuple[str, Revision], deque[float]] = field(default_factory=dict)
    missed: list[tuple[Act, Task]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.view.id

    @property
    def down(self) -> bool:
        return self.view.state == "down"

    @property
    def invalid(self) -> bool:
        """swarmkit's InvalidNode: down or drained."""
        return self.down or self.view.availability == "drain"


@dataclass(slots=True, eq=False)
class Task:
    """One task. ``revision`` is the service's spec that it was made from."""

    id: str
    number: int
    service: Service
    slot: int
    node: Node | None
    revision: Revision
    created: float
    state: TaskState = TaskState.NEW
    desired: TaskState = TaskState.RUNNING
    at: float = 0.0
    error: str = ""
    exit_code: int | None = None
    iteration: int | None = None  # of a job; None for a service that goes on
    preassigned: bool = False
    placed: bool = False  # takes up room on its node
    counted: bool = False  # among its node's active tasks
    app: App | None = None
    started: float | None = None
    timer: Timer | None = None
    log: tuple[str, ...] = ()
    address: str = ""
    off_record: bool = False
    on_up: list[Act] = field(default_factory=list)
    on_end: list[Act] = field(default_factory=list)
    view: TaskView | None = None
    fresh_view: TaskView | None = None

    @property
    def wanted(self) -> bool:
        """The service is there still, and so is the task."""
        return not self.service.gone and not self.off_record

    @property
    def place(self) -> int | str:
        """What it is replaced at: its slot, or its node."""
        if self.revision.by_node:
            return self.node.id if self.node else ""
        return self.slot

    @property
    def has_ended(self) -> bool:
        return self.state > TaskState.RUNNING


@dataclass(frozen=True, slots=True)
class Status:
    """UpdateStatus."""

    state: str
    message: str


@dataclass(slots=True, eq=False)
class Service:
    """One service, with its tasks by place (slot or node id), oldest first."""

    id: str
    revision: Revision
    version: int
    previous: Revision | None = None
    status: Status | None = None
    iteration: int | None = None
    places: dict[int | str, list[Task]] = field(default_factory=dict)
    restarts: dict[int | str, tuple[Revision, deque[float]]] = field(default_factory=dict)
    awaits_reconcile: bool = False
    gone: bool = False
    view: ServiceView | None = None
    live_views: list[TaskView] | None = None
    all_views: tuple[int, list[TaskView]] | None = None  # with the state of the nodes that they are good for

    @property
    def name(self) -> str:
        return str(self.revision.spec["Name"])
