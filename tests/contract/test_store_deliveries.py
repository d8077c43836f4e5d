"""Deliveries that come at the same time, and events that are acted on once: on SQLite and on PostgreSQL."""

from __future__ import annotations

from nodewise.domain.events import AlertFired
from nodewise.domain.jobs import Verb
from nodewise.store import Accepted, Store
from tests.contract.store_parts import EVENT, NOW, at_once, delivery

ALERT = AlertFired("web", "f00", "2026-11-26T10:00:00Z", "too many errors")


def test_of_many_at_once_each_is_stored_with_its_own_event_and_a_repeated_one_is_told_apart(store: Store):
    first = store.accept(delivery("k0", body_digest="b0"), NOW)
    keys = [f"k{n}" for n in range(12)] * 2
    found = at_once(len(keys), lambda n: store.accept(delivery(keys[n]), NOW))
    assert all(isinstance(a, Accepted) for a in found), found
    by_key = {key: {a.delivery_id for a, k in zip(found, keys, strict=True) if k == key} for key in set(keys)}
    assert all(len(ids) == 1 for ids in by_key.values()), "both of a pair name the same delivery"
    assert by_key["k0"] == {first.delivery_id}
    assert sum(a.created for a in found) == 11
    for made in (a for a in found if a.created):
        (event,) = store.delivery_events(made.delivery_id)
        assert (event.event, event.origin) == (EVENT, f"distribution {made.delivery_id}")
        assert [job.subject for job in made.jobs] == [event.id]
    assert store.outbox_size() == 12


def test_an_event_that_is_acted_on_once_is_in_the_first_delivery_that_tells_of_it(store: Store):
    first = store.accept(delivery("k1", events=(ALERT, EVENT)), NOW)
    again = store.accept(delivery("k2", events=(ALERT, EVENT)), NOW)
    assert (len(first.jobs), len(again.jobs)) == (2, 1)
    assert [e.event for e in store.delivery_events(again.delivery_id)] == [EVENT]


def test_of_an_alert_told_by_many_at_once_one_event_is_made(store: Store):
    found = at_once(6, lambda n: store.accept(delivery(f"k{n}", events=(ALERT,)), NOW))
    assert all(isinstance(a, Accepted) and a.created for a in found), found
    assert sum(len(a.jobs) for a in found) == 1
    assert store.outbox_size() == 1
    assert {job.verb for a in found for job in a.jobs} == {Verb.PLAN}


def test_a_replay_of_an_alert_is_a_new_event(store: Store):
    made = store.accept(delivery("k1", events=(ALERT,)), NOW)
    assert len(store.replay_delivery(made.delivery_id, NOW, "alice")) == 1


def test_deliveries_that_nothing_tells_apart_are_each_taken(store: Store):
    one, other = (store.accept(delivery(""), NOW) for _ in range(2))
    assert (one.created, other.created, one.delivery_id == other.delivery_id) == (True, True, False)
