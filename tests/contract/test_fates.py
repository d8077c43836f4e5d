"""What became of deliveries, on both databases: each alone, and all that stand alike, by the same rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodewise.domain.build import Build, BuildState
from nodewise.domain.delivery import NewDelivery, Verdict
from nodewise.domain.events import CodePushed
from nodewise.domain.fates import DeliveryState, Fate, Thing, state_of
from nodewise.domain.rollout import Phase
from nodewise.store import Store
from tests.contract.store_parts import NOW, rollout

MAIN, TAG = CodePushed("x", "refs/heads/main", "c" * 40), CodePushed("x", "refs/tags/v1", "c" * 40)


def push(store: Store, key: str, *events: CodePushed) -> str:
    new = NewDelivery("git", "git", key, Verdict.ACCEPTED, key.encode(), events or (MAIN,))
    return store.accept(new, NOW).delivery_id


def build(id_: str, image: str = "reg/web:1") -> Build:
    return Build(id_, "web", "x", MAIN.ref, MAIN.commit, image, BuildState.WAITING, NOW)


def start(store: Store, delivery: str, *builds: Build, **more) -> None:
    """Have the oldest event of it that is not handled start these."""
    event = next(e for e in store.delivery_events(delivery) if e.done_at is None)
    own = [replace(b, event_id=event.id) for b in builds]
    rollouts = [replace(r, event_id=event.id) for r in more.get("rollouts", ())]
    store.finish_event(event.id, "started", NOW, builds=own, rollouts=rollouts)


def end(store: Store, build_id: str, state: BuildState, error: str = "") -> None:
    stored = store.build(build_id)
    assert stored is not None
    store.save_build(replace(stored, state=state, error=error, ended_at=NOW), NOW)


def state(store: Store, delivery: str) -> DeliveryState:
    """As it is of that one, and as it is found by: both have to say the same."""
    found = state_of(store.fates([delivery]).get(delivery, []))
    by_state = {s: [d.id for d in store.deliveries(state=s)] for s in DeliveryState}
    assert [s for s, ids in by_state.items() if delivery in ids] == [found]
    return found


def test_what_meant_nothing_is_handled_and_what_is_not_handled_yet_waits(store: Store):
    ping = store.accept(NewDelivery("git", "git", "ping", Verdict.PING, b""), NOW).delivery_id
    pushed = push(store, "k1")
    assert (state(store, ping), state(store, pushed)) == (DeliveryState.HANDLED, DeliveryState.WAITING)
    start(store, pushed)
    assert state(store, pushed) is DeliveryState.HANDLED
    assert store.fates([pushed]) == {}


@pytest.mark.parametrize(
    ("ending", "whole"), [(BuildState.PUSHED, DeliveryState.HANDLED), (BuildState.FAILED, DeliveryState.FAILED)]
)
def test_a_delivery_ends_as_its_build_does(store: Store, ending: BuildState, whole: DeliveryState):
    other, pushed = push(store, "k0"), push(store, "k1")
    start(store, other)
    start(store, pushed, build("b-1"))
    assert state(store, pushed) is DeliveryState.WAITING
    end(store, "b-1", ending, "step 2: exit code 1")
    assert state(store, pushed) is whole
    assert store.fates([other, pushed]) == {
        pushed: [Fate(Thing.BUILD, "b-1", "web", ending.value, "step 2: exit code 1", latest=True)]
    }
    assert state(store, other) is DeliveryState.HANDLED


@pytest.mark.parametrize(
    ("phase", "whole"),
    [
        (Phase.MOVING, DeliveryState.WAITING),
        (Phase.SUCCEEDED, DeliveryState.HANDLED),
        (Phase.SUPERSEDED, DeliveryState.HANDLED),
        (Phase.ROLLED_BACK, DeliveryState.FAILED),
        (Phase.FROZEN, DeliveryState.FAILED),
    ],
)
def test_a_delivery_ends_as_its_rollout_does(store: Store, phase: Phase, whole: DeliveryState):
    pushed = push(store, "k1")
    start(store, pushed, rollouts=[rollout("r-1")])
    store.save_rollouts([replace(store.rollout("r-1"), phase=phase, reason="gate http failed")], NOW)
    assert state(store, pushed) is whole
    assert [(f.id, f.name, f.state) for f in store.fates([pushed])[pushed]] == [("r-1", "web", phase.value)]


def test_a_failure_counts_at_once_even_while_another_build_goes_on(store: Store):
    pushed = push(store, "k1", MAIN, TAG)
    start(store, pushed, build("b-1"))
    start(store, pushed, build("b-2", "reg/web:2"))
    end(store, "b-1", BuildState.FAILED)
    assert state(store, pushed) is DeliveryState.FAILED
    end(store, "b-2", BuildState.PUSHED)
    assert state(store, pushed) is DeliveryState.FAILED, "the one is not the other, though both are of one name"


def test_what_failed_counts_no_longer_once_the_same_was_replayed(store: Store):
    pushed = push(store, "k1")
    start(store, pushed, build("b-1"))
    end(store, "b-1", BuildState.FAILED)
    store.replay_delivery(pushed, NOW, "ann")
    assert state(store, pushed) is DeliveryState.FAILED
    start(store, pushed, build("b-2"))
    assert state(store, pushed) is DeliveryState.WAITING
    end(store, "b-2", BuildState.PUSHED)
    assert state(store, pushed) is DeliveryState.HANDLED
    assert [(f.id, f.latest) for f in store.fates([pushed])[pushed]] == [("b-1", False), ("b-2", True)]


def test_an_event_of_no_delivery_belongs_to_none(store: Store):
    pushed = push(store, "k1")
    start(store, pushed)
    event_id, _ = store.add_event(MAIN, "test", NOW)
    store.finish_event(event_id, "build b-1", NOW, builds=[replace(build("b-1"), event_id=event_id)])
    end(store, "b-1", BuildState.FAILED)
    assert state(store, pushed) is DeliveryState.HANDLED
    assert store.deliveries(state=DeliveryState.FAILED) == []
