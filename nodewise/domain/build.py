"""Builds: an image made from one commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class BuildState(StrEnum):
    """How far a build is. ``built`` means: on the builder, not yet in the registry."""

    WAITING = "waiting"
    BUILDING = "building"
    BUILT = "built"
    PUSHED = "pushed"
    FAILED = "failed"

    @property
    def terminal(self) -> bool:
        return self in (BuildState.PUSHED, BuildState.FAILED)


@dataclass(frozen=True, slots=True)
class Build:
    """One build. ``name`` is its entry in the configuration file; ``version`` is for compare-and-set."""

    id: str
    name: str
    repository: str
    ref: str
    commit: str
    image: str
    state: BuildState
    created_at: float
    version: int = 0
    event_id: str = ""
    dockerfile: str = "Dockerfile"
    context: str = "."
    args: Mapping[str, str] = field(default_factory=dict)
    image_id: str = ""
    digest: str = ""
    error: str = ""
    started_at: float | None = None
    ended_at: float | None = None
