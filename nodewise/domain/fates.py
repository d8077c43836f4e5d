"""What became of a delivery: of what its events have started, and so of the whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from nodewise.domain.build import BuildState
from nodewise.domain.model import TERMINAL, Phase


class DeliveryState(StrEnum):
    """How a delivery stands as a whole. What came to nothing for a good reason is handled."""

    HANDLED = "handled"
    WAITING = "waiting"  # an event of it, or something that it started, has not ended yet
    FAILED = "failed"  # there is no image, or no release, although there should be


class Thing(StrEnum):
    """What a fate is the fate of."""

    EVENT = "event"  # one that is not handled yet
    BUILD = "build"
    ROLLOUT = "rollout"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one thing so far. ``name``: the build's, or the service. ``state``: a build's state or a
    rollout's phase; empty for an event. ``reason``: the build's error, or why the rollout ended as it did.

    ``latest``: no later thing of this delivery is for the same; false for what was replayed.
    """

    thing: Thing
    id: str
    name: str
    state: str
    reason: str
    latest: bool


ENDED = frozenset(s.value for s in (*TERMINAL, *(b for b in BuildState if b.terminal)))
FAILED = frozenset(
    s.value for s in (BuildState.FAILED, Phase.FAILED, Phase.FROZEN, Phase.ROLLED_BACK, Phase.ROLLED_BACK_BY_SWARM)
)


def state_of(fates: Iterable[Fate]) -> DeliveryState:
    """A failure counts at once, whatever else is still on its way; not once the same was replayed."""
    known = list(fates)
    if any(f.latest and f.state in FAILED for f in known):
        return DeliveryState.FAILED
    return DeliveryState.WAITING if any(f.state not in ENDED for f in known) else DeliveryState.HANDLED
