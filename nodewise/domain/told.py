"""What people are told, as values: states in their words, and what was told to whom last. No behaviour here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a rollout or a build is, to a person."""

    PENDING = "pending"
    STARTED = "started"
    WAITING = "waiting"
    HELD = "held"
    TAKING_BACK = "taking_back"
    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    CHANGED = "changed"
    SUPERSEDED = "superseded"
    ABORTED = "aborted"
    BUILDING = "building"
    PUSHED = "pushed"
    BUILD_FAILED = "build_failed"
    SKIPPED = "skipped"

    @property
    def tone(self) -> Tone:
        return _SAID[self][0]

    @property
    def words(self) -> str:
        """The state in a sentence: "web: waits for an approval"."""
        return _SAID[self][1]


class Tone(StrEnum):
    """What a state amounts to, for those who know only a few."""

    ASKED = "asked"
    GOES = "goes"
    STANDS = "stands"  # until a person says something
    GOOD = "good"
    BAD = "bad"
    OVER = "over"  # neither good nor bad: something else came instead


_SAID: Mapping[State, tuple[Tone, str]] = {
    State.PENDING: (Tone.ASKED, "asked for"),
    State.STARTED: (Tone.GOES, "on its way"),
    State.WAITING: (Tone.STANDS, "waits for an approval"),
    State.HELD: (Tone.STANDS, "held"),
    State.TAKING_BACK: (Tone.GOES, "being taken back"),
    State.SUCCEEDED: (Tone.GOOD, "succeeded"),
    State.ROLLED_BACK: (Tone.BAD, "rolled back"),
    State.FAILED: (Tone.BAD, "failed"),
    State.CHANGED: (Tone.OVER, "ended by someone else's change"),
    State.SUPERSEDED: (Tone.OVER, "replaced by a newer one"),
    State.ABORTED: (Tone.OVER, "aborted"),
    State.BUILDING: (Tone.GOES, "being built"),
    State.PUSHED: (Tone.GOOD, "built and pushed"),
    State.BUILD_FAILED: (Tone.BAD, "not built"),
    State.SKIPPED: (Tone.GOOD, "skipped"),
}
# What ends something, but for what a newer one tells of itself; and what waits for a person.
BY_DEFAULT = (
    State.WAITING,
    State.HELD,
    State.SUCCEEDED,
    State.ROLLED_BACK,
    State.FAILED,
    State.CHANGED,
    State.ABORTED,
    State.BUILD_FAILED,
)


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit that an image was built from; ``repository`` as the build's configuration names it."""

    repository: str
    id: str


@dataclass(frozen=True, slots=True)
class Told:
    """One thing to tell. ``service``: the service, or the build's name; ``commit``: where one is known."""

    subject: str
    service: str
    state: State
    occasion: str
    image: str
    reason: str
    who: str
    title: str
    text: str
    commit: Commit | None = None

    @property
    def of_build(self) -> bool:
        return self.subject.startswith("b-")


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What one channel was told of one subject last. ``kept``: what its other side calls it, such as a deployment's id.

    ``tries``: how often it could not be told since then; ``due_at``: when it is tried again.
    """

    subject: str
    channel: str
    occasion: str = ""
    kept: str = ""
    tries: int = 0
    due_at: float = 0.0
