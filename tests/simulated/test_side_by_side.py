"""Workers that plan side by side: whichever is quicker, what was asked for last is what runs in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nodewise.domain.jobs import Job, Verb
from nodewise.domain.rollout import Phase, Rollout
from nodewise.store import Store
from tasks.perform import perform
from tests.world import SECOND, World, world


class SlowReader:
    """A store whose first question after what waits is answered, and then something else happens."""

    def __init__(self, store: Store, meanwhile: Callable[[], object]) -> None:
        self._store = store
        self._meanwhile = [meanwhile]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def queued_rollouts(self, service: str) -> list[Rollout]:
        found = self._store.queued_rollouts(service)
        while self._meanwhile:
            self._meanwhile.pop()()
        return found


def under_way(w: World) -> Rollout:
    """A rollout with its first task moved and not all of them."""
    w.service(replicas=3, track="semver:^1", update={"Delay": 5 * SECOND})
    first = w.deploy(w.push("1.1.0"))
    w.run(lambda: "1.1.0" in w.running())
    return first


def pushed(w: World, tag: str) -> Rollout:
    """The rollout that the push of *tag* has started, not planned yet."""
    w.push(tag)
    w.clock.advance(0.01)
    w.pushed(tag)
    event = w.queue.take()
    while event is not None and not event.subject.startswith("e-"):
        event = w.queue.take()
    assert event is not None
    perform(w.deps, event)
    return w.latest()


@pytest.mark.parametrize("how", ["pushes", "persons"])
def test_what_was_asked_for_earlier_and_is_planned_later_does_not_replace_the_newer_one(how: str):
    with world() as w:
        under_way(w)
        older, newer = (pushed(w, tag) if how == "pushes" else asked(w, tag) for tag in ("1.2.0", "1.3.0"))
        w.perform(Job(Verb.PLAN, newer.id))
        w.run(lambda: w.get(newer).phase is Phase.MOVING)
        w.perform(Job(Verb.PLAN, older.id))
        assert w.end(newer).phase is Phase.SUCCEEDED
        ended = w.end(older)
        assert (ended.phase, newer.id in ended.reason) == (Phase.SUPERSEDED, True)
        w.wait(60)
        assert w.running() == ["1.3.0"] * 3


def asked(w: World, tag: str) -> Rollout:
    w.clock.advance(0.01)
    rollout = w.deploy(w.push(tag))
    w.queue.wipe()
    return rollout


def test_what_was_asked_for_earlier_goes_when_the_newer_one_could_not_begin():
    with world() as w:
        under_way(w)
        older = asked(w, "1.2.0")
        w.clock.advance(0.01)
        newer = w.deploy(w.image("9.9.9"))
        w.perform(Job(Verb.PLAN, newer.id))
        assert w.get(newer).phase is Phase.FAILED
        assert w.end(older).phase is Phase.SUCCEEDED
        assert w.running() == ["1.2.0"] * 3


def test_two_that_come_to_wait_at_the_same_moment_are_both_accounted_for():
    with world() as w:
        under_way(w)
        older, newer = asked(w, "1.2.0"), asked(w, "1.3.0")
        other = w.deps
        w.deps = w.new_worker(store=SlowReader(other.store, lambda: plan_with(w, other, older)))
        w.perform(Job(Verb.PLAN, newer.id))
        w.deps = other
        assert w.end(newer).phase is Phase.SUCCEEDED, w.get(newer).reason
        assert w.end(older).phase is Phase.SUPERSEDED
        assert w.running() == ["1.3.0"] * 3


def plan_with(w: World, deps: Any, rollout: Rollout) -> None:
    perform(deps, Job(Verb.PLAN, rollout.id))
    assert w.get(rollout).phase is Phase.QUEUED
