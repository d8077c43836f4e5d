"""What a decision wants done in the world. Values only: ``nodewise.apply`` carries them out.

Every effect may be carried out twice: after a crash between saving and applying, the next observation
shows that the swarm is not there yet, and the decision asks for the same effect again.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodewise.domain.swarm import Spec


@dataclass(frozen=True, slots=True)
class WriteSpec:
    """Update the service to *spec*, if it still is at *version*."""

    service_id: str
    version: int
    spec: Spec


@dataclass(frozen=True, slots=True)
class KeepEvidence:
    """Record the failing task's error and its last log lines with the rollout."""

    rollout_id: str
    task_id: str
    error: str


@dataclass(frozen=True, slots=True)
class MakeHelper:
    """Create a helper service. One of that name that bears the same mark is it: made before a crash."""

    spec: Spec


@dataclass(frozen=True, slots=True)
class RemoveHelper:
    """Remove a helper service."""

    service_id: str


Effect = WriteSpec | KeepEvidence | MakeHelper | RemoveHelper
