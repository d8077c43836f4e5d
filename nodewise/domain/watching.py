"""Watching: whom a change in the swarm concerns, and how long until the next look. Pure.

A rollout's picture is what the swarm wants of its services: which tasks, where, in which state. Only a rollout whose
picture has changed is woken. What a change means is not known here: the woken rollout looks for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nodewise.domain.swarm import ServiceView, TaskView

QUICK = 0.25  # seconds between two polls while something goes on
IDLE = 2.0  # seconds, while nothing does
LONGEST = 5.0  # seconds; by then a rollout looks by itself
SHARE = 0.1  # the part of the time that may be spent polling

# On its way is on its way: of its states, and of whether it still waits for the old task to stop ("ready"), none has a
# consequence, and each would cost a look.
_COMING = "coming"
_BEFORE_RUNNING = frozenset(("new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting"))

Picture = frozenset[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Going:
    """A rollout that looks at the swarm again and again. ``helpers``: whether it has made services of its own."""

    rollout: str
    service_id: str
    helpers: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What the swarm has told by itself.

    ``services``: ids of those made, changed or removed. ``nodes``: a node came, went, or takes tasks no longer.
    ``anew``: one has only just begun to listen, and anything may have happened before.
    """

    services: frozenset[str] = frozenset()
    nodes: bool = False
    anew: bool = False

    def __or__(self, other: Heard) -> Heard:
        return Heard(self.services | other.services, self.nodes or other.nodes, self.anew or other.anew)

    def wakes(self, going: Iterable[Going]) -> list[str]:
        """The rollouts that this concerns."""
        return [g.rollout for g in going if self.anew or self.nodes or g.service_id in self.services]


def told(event: Mapping[str, object]) -> Heard:
    """What one event of the Engine API says (moby, daemon/events.go). What is no news says nothing.

    An event of a service names it and nothing more that could be relied upon; one of a node names what is new in it.
    """
    actor = event.get("Actor")
    if not isinstance(actor, Mapping):
        return Heard()
    if event.get("Type") == "service":
        return Heard(services=frozenset({str(actor["ID"])} if actor.get("ID") else ()))
    if event.get("Type") == "node":
        attributes = actor.get("Attributes") or {}
        matters = event.get("Action") != "update" or "state.new" in attributes or "availability.new" in attributes
        return Heard(nodes=matters)
    return Heard()


def helpers_of(services: Iterable[ServiceView]) -> dict[str, list[str]]:
    """The ids of helper services, by the rollout that made them."""
    found: dict[str, list[str]] = {}
    for service in services:
        if service.helper and service.mark:
            found.setdefault(service.mark, []).append(service.id)
    return found


def pictures(
    going: Iterable[Going], helpers: Mapping[str, Sequence[str]], tasks: Iterable[TaskView]
) -> dict[str, Picture]:
    """Each rollout's picture. A helper is part of it even without a task: that it is there, or gone, is news."""
    seen: dict[str, set[tuple[str, ...]]] = {}
    for task in tasks:
        state = _COMING if task.state in _BEFORE_RUNNING else task.state
        desired = "running" if task.desired == "ready" else task.desired
        seen.setdefault(task.service_id, set()).add((task.id, task.node_id, state, desired))
    drawn = {}
    for one in going:
        own = helpers.get(one.rollout, ())
        parts = [seen.get(service_id, set()) for service_id in (one.service_id, *own)]
        drawn[one.rollout] = frozenset({(helper,) for helper in own}.union(*parts))
    return drawn


@dataclass(frozen=True, slots=True)
class News:
    """Whom to wake, the pictures to hold the next ones against, and whose picture was left for the next poll."""

    wake: tuple[str, ...]
    pictures: Mapping[str, Picture]
    left: frozenset[str] = frozenset()


def changed(before: Mapping[str, Picture], after: Mapping[str, Picture], left: frozenset[str] = frozenset()) -> News:
    """Wake each rollout whose picture is another. One that is seen for the first time is: what it saw may be older.

    A task that has no node yet gets one in a moment, as a rule: its rollout is *left* for the next poll, once, so
    that both are one look.
    """
    other = [r for r, picture in after.items() if before.get(r) != picture]
    leave = frozenset(r for r in other if r in before and r not in left and _unsettled(after[r]))
    kept = {r: before[r] if r in leave else picture for r, picture in after.items()}
    return News(tuple(sorted(r for r in other if r not in leave)), kept, leave)


def _unsettled(picture: Picture) -> bool:
    return any(state == _COMING and not node for _, node, state, _ in (part for part in picture if len(part) == 4))


def let_go(before: Iterable[Going], after: Iterable[Going]) -> set[str]:
    """The ids of services whose rollout has ended in between."""
    still = {g.rollout for g in after}
    return {g.service_id for g in before if g.rollout not in still}


def until_next(cost: float, busy: bool) -> float:
    """Seconds from the end of a poll that took *cost* seconds to the next one. *busy*: something is going on."""
    if not busy:
        return IDLE
    return min(LONGEST, max(QUICK, cost * (1 - SHARE) / SHARE))
