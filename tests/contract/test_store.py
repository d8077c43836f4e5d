"""The store, on both databases: transactions, races, and everything coming back as it went in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodewise.domain.access import Audit
from nodewise.domain.delivery import NewDelivery, Verdict
from nodewise.domain.errors import Conflict, LostRace, NotFound
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.release import ReleaseState
from nodewise.domain.rollout import Cause, Phase, move
from nodewise.domain.steps import GatePlan, Reading, Step, StepState, Streak
from nodewise.domain.steps import Verdict as GateVerdict
from nodewise.domain.watching import Going
from nodewise.store import Store
from nodewise.store.database import Database
from nodewise.store.schema import metadata
from tests.contract.store_parts import EVENT, NOW, at_once, delivery, release, rollout, told
from tests.unit.swarm_values import NEW, OLD, plan

pytestmark = pytest.mark.seconds(15)


# -- schema ------------------------------------------------------------------------------------------


def test_the_migrations_make_exactly_the_schema_that_the_code_declares(url: str):
    Store.open(url).migrate()
    with Database(url).read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_several_processes_may_migrate_at_once(url: str):
    assert at_once(4, lambda _: Store.open(url).migrate()) == [None] * 4
    Store.open(url).ping()


# -- deliveries and events -----------------------------------------------------------------------------


def test_a_delivery_comes_back_as_it_came_in_with_its_event_and_its_job(store: Store):
    accepted = store.accept(delivery(note="a\0b"), NOW)
    assert accepted.created
    (event,) = store.delivery_events(accepted.delivery_id)
    assert (event.event, event.done_at) == (EVENT, None)
    assert accepted.jobs == (Job(Verb.PLAN, event.id),)
    assert store.delivery_body(accepted.delivery_id) == b"{}\x00\xff"
    assert told(store, NOW + 60, 1.0) == [Job(Verb.PLAN, event.id)]


@pytest.mark.parametrize(
    ("again", "created"),
    [
        (delivery(), False),
        (delivery(hook="other"), True),
        (delivery("k2"), True),
        (delivery("k2", body_digest="sha256:1"), False),
    ],
    ids=["same key", "same key of another hook", "another key", "the same body under another key"],
)
def test_a_delivery_is_taken_once_per_hook_and_key_and_body(store: Store, again: NewDelivery, created: bool):
    first = store.accept(delivery(body_digest="sha256:1"), NOW)
    second = store.accept(again, NOW)
    assert second.created is created
    assert (second.delivery_id == first.delivery_id) is not created
    assert store.outbox_size() == 1 + created


def test_of_the_same_delivery_at_once_one_is_taken(store: Store):
    taken = at_once(6, lambda _: store.accept(delivery(), NOW))
    assert [a.created for a in taken].count(True) == 1
    assert len({a.delivery_id for a in taken}) == 1
    assert store.outbox_size() == 1


def test_an_event_is_finished_once_and_what_it_starts_is_there_with_it(store: Store):
    event_id, _ = store.add_event(EVENT, "test", NOW)
    results = at_once(
        4, lambda n: store.finish_event(event_id, f"rollout {n}", NOW, rollouts=[rollout(f"r-{n}", f"web{n}")])
    )
    assert sorted(type(r).__name__ for r in results) == ["LostRace"] * 3 + ["tuple"]
    assert len(store.rollouts()) == 1
    assert store.event(event_id).done_at == NOW
    assert told(store, NOW + 60, 1.0) == [Job(Verb.PLAN, store.rollouts()[0].id)]


def test_an_image_is_on_its_way_to_a_service_once_however_many_events_tell_of_it(store: Store):
    ids = [store.add_event(EVENT, "test", NOW)[0] for _ in range(4)]
    coming = [replace(rollout(f"r-{n}", "web"), event_id=e, image="reg/web:1") for n, e in enumerate(ids)]
    results = at_once(4, lambda n: store.finish_event(ids[n], f"r-{n}", NOW, rollouts=[coming[n]]))
    assert sorted(type(r).__name__ for r in results) == ["LostRace"] * 3 + ["tuple"]
    assert len(store.rollouts()) == 1
    left = [e for e in ids if store.event(e).done_at is None]
    assert len(left) == 3, "the losers look again, and see the one that is on its way"
    other = replace(rollout("r-9", "web"), event_id=left[0], image="reg/web:2")
    store.finish_event(left[0], "r-9", NOW, rollouts=[other])


def test_a_service_has_had_what_a_release_of_it_is_and_what_a_rollout_has_asked_for(store: Store):
    event_id, _ = store.add_event(EVENT, "test", NOW)
    asked = rollout("r-1", "web", image=f"reg/web:1.0@{NEW}", event_id=event_id)
    store.finish_event(event_id, "", NOW, rollouts=[asked])
    assert [store.has_had("web", NEW), store.has_had("shop", NEW), store.has_had("web", OLD)] == [True, False, False]
    store.save_rollouts((), NOW, releases=[release(1)])
    assert [store.has_had("web", OLD), store.has_had("shop", OLD)] == [True, False]


def test_a_replay_starts_each_event_once_more_and_no_more(store: Store):
    accepted = store.accept(delivery(), NOW)
    assert len(store.replay_delivery(accepted.delivery_id, NOW, "alice")) == 1
    assert len(store.replay_delivery(accepted.delivery_id, NOW, "alice")) == 1
    with pytest.raises(NotFound, match="d-none"):
        store.replay_delivery("d-none", NOW, "alice")


def test_a_replay_is_in_the_audit_with_who_and_when_and_the_events_that_it_made(store: Store):
    delivery_id = store.accept(delivery(), NOW).delivery_id
    (job,) = store.replay_delivery(delivery_id, NOW + 5, "alice")
    assert store.audit() == [Audit(NOW + 5, "alice", "replay", delivery_id, job.subject)]
    with pytest.raises(NotFound):
        store.replay_delivery("d-none", NOW, "alice")
    assert len(store.audit()) == 1


def test_a_delivery_that_meant_nothing_cannot_be_replayed(store: Store):
    ping = store.accept(NewDelivery("git", "git", "ping", Verdict.PING, b""), NOW).delivery_id
    with pytest.raises(Conflict, match="meant nothing"):
        store.replay_delivery(ping, NOW, "alice")
    assert store.audit() == []


def test_deliveries_are_listed_by_provider_hook_and_verdict_with_what_came_of_them(store: Store):
    accepted = store.accept(delivery(), NOW)
    store.finish_event(accepted.jobs[0].subject, "no service runs it", NOW)
    ping = store.accept(NewDelivery("github", "shop", "ping", Verdict.PING, b""), NOW + 1).delivery_id
    kept = store.delivery(accepted.delivery_id)
    assert [d.id for d in store.deliveries(provider="github")] == [ping]
    assert [d.id for d in store.deliveries(hook=kept.hook, verdict=Verdict.ACCEPTED)] == [accepted.delivery_id]
    assert store.deliveries(hook="shop", verdict=Verdict.ACCEPTED) == []
    assert store.outcomes([accepted.delivery_id, ping]) == {accepted.delivery_id: ["no service runs it"]}
    assert store.last_deliveries() == {kept.hook: NOW, "shop": NOW + 1}


def test_rejected_requests_are_counted(store: Store):
    at_once(5, lambda _: store.count_rejected("git", "git", "wrong signature", NOW))
    store.count_rejected("git", "git", "not signed", NOW + 1)
    assert [(r.reason, r.count) for r in store.rejected()] == [("not signed", 1), ("wrong signature", 5)]


# -- rollouts ------------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
times = st.floats(0, 4e9, allow_nan=False)
streaks = st.builds(
    Streak,
    gate=texts,
    passes=st.integers(0, 9),
    fails=st.integers(0, 9),
    read_at=times,
    detail=texts,
    held=st.booleans(),
)
gates = st.builds(
    GatePlan, texts, times, st.integers(1, 9), st.integers(1, 9), st.dictionaries(texts, texts | times, max_size=3)
)


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_rollout_comes_back_as_it_was_saved(store: Store, data: st.DataObject):
    number = len(store.rollouts(limit=1000))
    first = rollout(f"r-{number:04}", f"service-{number}")
    store.add_rollout(first, NOW, "test")
    nodes = data.draw(st.lists(texts, unique=True, max_size=3))
    states = st.sampled_from(StepState)
    steps = tuple(
        Step(n, n, data.draw(states), data.draw(times), ("t",), tuple(data.draw(st.lists(streaks, max_size=2))), "d")
        for n in nodes
    )
    frozen = plan(
        gates=tuple(data.draw(st.lists(gates, max_size=2))),
        notes=tuple(data.draw(st.lists(texts, max_size=2))),
        failed_before=("t1",),
        update_config={"Delay": data.draw(st.integers(0, 2**53))},
    )
    changed = replace(
        first,
        phase=Phase.SUCCEEDED,
        plan=frozen,
        steps=steps,
        reason=data.draw(texts),
        deadline_at=data.draw(st.none() | times),
        remaining=data.draw(st.none() | st.integers(0, 2**31 - 1)),
        to_number=data.draw(st.none() | st.integers(1, 2**31 - 1)),
    )
    (saved,) = store.save_rollouts([changed], NOW)
    assert store.rollout(first.id) == saved == replace(changed, version=1)


def test_of_two_who_save_the_same_version_one_loses(store: Store):
    store.add_rollout(rollout(), NOW, "test")
    read = store.rollout("r-1")
    results = at_once(
        4, lambda n: store.save_rollouts([replace(read, reason=str(n))], NOW, jobs=[Job(Verb.PLAN, f"x{n}")])
    )
    assert sorted(type(r).__name__ for r in results) == ["LostRace"] * 3 + ["tuple"]
    assert store.rollout("r-1").version == 1
    assert store.outbox_size() == 2, "the losers' jobs went with their change"


@pytest.mark.parametrize("phase", [Phase.MOVING, Phase.QUEUED])
def test_at_most_one_rollout_holds_a_service_and_at_most_one_waits(store: Store, phase: Phase):
    for n in range(4):
        store.add_rollout(rollout(f"r-{n}"), NOW, "test")
    results = at_once(4, lambda n: store.save_rollouts([replace(store.rollout(f"r-{n}"), phase=phase)], NOW))
    assert sorted(type(r).__name__ for r in results) == ["Conflict"] * 3 + ["tuple"]
    assert [r.phase for r in store.rollouts("web")].count(phase) == 1


def test_what_waits_for_a_service_is_told_with_the_time_since_when(store: Store):
    store.add_rollout(rollout("r-1"), NOW, "test")
    store.add_rollout(rollout("r-2"), NOW, "test")
    assert store.rollout_and_newer("r-1")[1] is None
    (waiting,) = store.save_rollouts([move(store.rollout("r-2"), Cause.BUSY, NOW + 90)], NOW + 90)
    assert store.rollout_and_newer("r-1")[1] == ("r-2", NOW + 90)
    store.save_rollouts([replace(waiting, queued_at=None)], NOW + 91)
    assert store.rollout_and_newer("r-1")[1] == ("r-2", waiting.created_at), "an older version's knows no better"


def test_a_service_is_handed_over_in_one_transaction(store: Store):
    store.add_rollout(rollout("r-1"), NOW, "test")
    store.add_rollout(rollout("r-2"), NOW, "test")
    (held,) = store.save_rollouts([replace(store.rollout("r-1"), phase=Phase.MOVING)], NOW)
    taker = replace(store.rollout("r-2"), phase=Phase.MOVING)
    with pytest.raises(Conflict, match="web"):
        store.save_rollouts([taker, replace(held, phase=Phase.SUPERSEDED, ended_at=NOW)], NOW)
    assert store.active_rollout("web").id == "r-1"
    store.save_rollouts([replace(held, phase=Phase.SUPERSEDED, ended_at=NOW), taker], NOW)
    assert store.active_rollout("web").id == "r-2"


def test_the_rollouts_that_go_on_are_told_without_their_plans(store: Store):
    for number, phase in enumerate(Phase):
        store.add_rollout(rollout(f"r-{number:02}", f"web{number}", service_id=f"s{number}"), NOW, "test")
        held = replace(store.rollout(f"r-{number:02}"), phase=phase, plan=plan(), helpers=phase is Phase.STAGING)
        store.save_rollouts([held], NOW)
    wanted = [
        Going(f"r-{n:02}", f"s{n}", phase is Phase.STAGING)
        for n, phase in enumerate(Phase)
        if phase.active or phase is Phase.CLEARING
    ]
    assert store.going_rollouts() == wanted


def test_a_service_is_held_by_an_active_rollout_and_outlines_tell_all_but_plans_and_steps(store: Store):
    for number, phase in enumerate((Phase.MOVING, Phase.QUEUED, Phase.SUCCEEDED)):
        store.add_rollout(rollout(f"r-{number}", f"web{number}"), NOW, "test")
        store.save_rollouts(
            [replace(store.rollout(f"r-{number}"), phase=phase, plan=plan(), steps=(Step("n1", "one"),))], NOW
        )
    assert store.held_services() == {"web0"}
    full = store.rollouts()
    assert all(r.plan and r.steps for r in full)
    assert store.rollouts(outline=True) == [replace(r, plan=None, steps=()) for r in full]


def test_the_last_to_write_a_service_is_not_the_last_that_was_asked_for(store: Store):
    assert store.last_written("web") is None
    written = {"r-1": NOW + 9, "r-2": NOW + 5, "r-3": None}
    for id_, at in written.items():
        store.add_rollout(rollout(id_, phase=Phase.PENDING), NOW, "test")
        ended = replace(store.rollout(id_), phase=Phase.SUCCEEDED, written_at=at, plan=plan())
        store.save_rollouts([ended], NOW)
    store.add_rollout(rollout("r-4", "other", written_at=NOW + 99), NOW, "test")
    assert store.last_written("web") == store.rollout("r-1")


def test_a_release_may_be_kept_without_a_rollout_and_of_two_with_one_number_one_is(store: Store):
    def keep(n: int) -> Any:
        note = Audit(NOW, "someone else", "drift", "web", f"writer {n}")
        return store.save_rollouts((), NOW, releases=[release(1, created_at=NOW + n)], audit=[note])

    results = at_once(4, keep)
    assert sorted(type(r).__name__ for r in results) == ["LostRace"] * 3 + ["tuple"]
    assert [r.number for r in store.releases("web")] == [1]
    assert len(store.audit()) == 1, "the losers' audit went with their release"
    assert store.services_on_record() == {"web"}


def test_the_audit_is_asked_for_one_subject_or_one_kind(store: Store):
    rows = [
        Audit(NOW + n, "a", what, on) for n, (what, on) in enumerate([("drift", "x"), ("lock", "x"), ("drift", "y")])
    ]
    store.add_audit(*rows)
    assert store.audit() == rows[::-1]
    assert store.audit(subject="x") == [rows[1], rows[0]]
    assert store.audit(what="drift") == [rows[2], rows[0]]
    assert store.audit(1, "x", "drift") == [rows[0]]


def test_a_change_that_loses_leaves_nothing_behind(store: Store):
    store.add_rollout(rollout(), NOW, "test")
    stale = replace(store.rollout("r-1"), version=7)
    with pytest.raises(LostRace):
        reading = Reading("http", "n1", GateVerdict.FAIL, "500", NOW, "t1")
        note = Audit(NOW, "a", "b", "c", "d")
        store.save_rollouts([stale], NOW, releases=[release(1)], audit=[note], readings=[reading])
    assert store.releases("web") == []
    assert store.readings("r-1") == []
    assert [a.what for a in store.audit()] == ["deploy"]


def test_readings_and_evidence_are_kept_and_the_first_evidence_stays(store: Store):
    store.add_rollout(rollout(), NOW, "test")
    reading = Reading("http", "n1", GateVerdict.FAIL, "500", NOW, "t1")
    store.add_readings("r-1", [reading])
    store.save_rollouts([store.rollout("r-1")], NOW, readings=[replace(reading, verdict=GateVerdict.PASS)])
    assert [r.verdict for r in store.readings("r-1")] == [GateVerdict.FAIL, GateVerdict.PASS]
    store.set_evidence("r-1", "first\0")
    store.set_evidence("r-1", "second")
    assert store.rollout("r-1").evidence.startswith("first")


def test_the_good_release_before_is_found_past_bad_ones(store: Store):
    store.add_rollout(rollout(), NOW, "test")
    kept = [release(1), release(2, ReleaseState.BAD), release(3), release(4, ReleaseState.NEW)]
    store.save_rollouts([store.rollout("r-1")], NOW, releases=kept, release_states=[("web", 4, ReleaseState.GOOD)])
    assert store.good_release_before("web", 3).number == 1
    assert store.good_release_before("web", None).number == 4
    assert store.good_release_before("web", 1) is None
    assert store.release("web", 3) == release(3)
    assert store.release_by_fingerprint("web", release(3).fingerprint).number == 3
    assert store.next_release_number("web") == 5


# -- builds, tokens, expiry --------------------------------------------------------------------------------------


def test_tokens_are_found_by_their_hash_until_they_are_revoked(store: Store):
    store.add_token("ci", "h" * 64, frozenset({"read", "deploy"}), NOW)
    assert store.token_by_hash("h" * 64).scopes == {"read", "deploy"}
    with pytest.raises(Conflict, match="ci"):
        store.add_token("ci", "i" * 64, frozenset({"read"}), NOW)
    store.revoke_token("ci", NOW + 1)
    found = store.token_by_hash("h" * 64)
    assert found is None or found.revoked_at == NOW + 1


def test_what_is_old_expires_and_the_record_of_it_stays(store: Store):
    accepted = store.accept(delivery(), NOW)
    assert store.expire(NOW + 86400 * 8, 7) == 1
    assert store.delivery_body(accepted.delivery_id) == b""
    assert store.delivery(accepted.delivery_id) is not None
    assert not store.accept(delivery(), NOW + 86400 * 8).created, "still known"
