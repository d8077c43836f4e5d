"""The swarm as observed: plain values, made by the engine adapter from the Engine API's JSON.

Field names follow the Engine API. Nothing here knows how the values were obtained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Spec = dict[str, Any]  # a ServiceSpec exactly as the Engine API sends it

ROLLOUT_LABEL = "nodewise.rollout"
LOST_LABEL = "nodewise.lost"  # tasks that went with their node and that the update goes on without, see causes.py
HELPER_LABEL = "nodewise.helper"  # on a service that a rollout made for itself: what it is for, see helpers.py
OWN_LABELS = (ROLLOUT_LABEL, LOST_LABEL)  # on a user's service, for a rollout's sake

_COMING = ("new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting")


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One service. ``update_state`` is UpdateStatus.State or empty; ``desired`` is None where unknown."""

    id: str
    name: str
    version: int
    spec: Spec
    update_state: str = ""
    update_message: str = ""
    previous_spec: Spec | None = None

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.spec.get("Labels") or {}
        return labels

    @property
    def image(self) -> str:
        return image_of(self.spec)

    @property
    def mark(self) -> str:
        """Which of our writes this spec is; empty when none."""
        return self.labels.get(ROLLOUT_LABEL, "")

    @property
    def lost(self) -> frozenset[str]:
        """Ids of the tasks that our last write told Swarm's update to go on without."""
        return frozenset(self.labels.get(LOST_LABEL, "").split())

    @property
    def helper(self) -> str:
        """What a helper service is for; empty for a service of the user's."""
        return self.labels.get(HELPER_LABEL, "")

    @property
    def replicas(self) -> int | None:
        """How many tasks a replicated service wants; None for a global one."""
        replicated = (self.spec.get("Mode") or {}).get("Replicated")
        return None if replicated is None else int(replicated.get("Replicas", 1))


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task. ``state`` and ``desired`` are TaskState names; ``at`` is when the state was observed."""

    id: str
    service_id: str
    node_id: str
    slot: int
    state: str
    desired: str
    image: str
    up_to_date: bool
    error: str = ""
    exit_code: int | None = None
    at: str = ""
    address: str = ""

    @property
    def running(self) -> bool:
        return self.state == "running" and self.desired == "running"

    @property
    def failed(self) -> bool:
        """Ended by itself. A task that was told to stop, or lost with its node, has not failed."""
        return self.state in ("failed", "rejected", "complete")

    @property
    def given_up(self) -> bool:
        """Told to stop before it ever ran."""
        return self.desired not in ("running", "ready") and self.state in _COMING

    @property
    def place(self) -> str:
        """What a task is replaced at: its slot, or its node in a global service."""
        return str(self.slot) if self.slot else self.node_id


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node. ``address`` is where its host-mode ports answer."""

    id: str
    name: str
    state: str
    availability: str
    address: str
    role: str = "worker"
    labels: Mapping[str, str] = field(default_factory=dict)
    engine_version: str = ""

    @property
    def takes_tasks(self) -> bool:
        """Ready and active: Swarm may start tasks there."""
        return self.state == "ready" and self.availability == "active"


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """What the registry says a name is. ``platforms`` as Placement.Platforms wants them."""

    digest: str
    platforms: tuple[Mapping[str, str], ...] = ()


def image_of(spec: Spec) -> str:
    container: Spec = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
    return str(container.get("Image", ""))
