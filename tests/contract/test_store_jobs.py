"""The outbox and the leases, on both databases: one of many gets what there is one of, and nothing is lost."""

from __future__ import annotations

from nodewise.domain.jobs import Job, Verb
from nodewise.store import Store
from tests.contract.store_parts import NOW, at_once, told

JOB = Job(Verb.ADVANCE, "r-1")


def test_one_of_many_gets_the_lease(store: Store):
    store.put_jobs([JOB], NOW)
    leases = at_once(6, lambda _: store.begin_job(JOB, NOW, 30.0))
    assert len([lease for lease in leases if lease]) == 1


def test_a_lease_runs_out_and_the_job_is_found_again(store: Store):
    store.put_jobs([JOB], NOW)
    first = store.begin_job(JOB, NOW, 30.0)
    assert store.begin_job(JOB, NOW + 29, 30.0) is None
    assert told(store, NOW + 29, 1.0) == []
    assert told(store, NOW + 32, 1.0) == [JOB]
    second = store.begin_job(JOB, NOW + 32, 30.0)
    assert (first.attempts, second.attempts) == (1, 2)
    assert not store.extend_lease(first, NOW + 33, 30.0), "the late one has lost it"
    assert store.extend_lease(second, NOW + 33, 30.0)


def test_a_job_asked_for_again_while_it_runs_runs_again(store: Store):
    store.put_jobs([JOB], NOW)
    lease = store.begin_job(JOB, NOW, 30.0)
    store.put_jobs([JOB], NOW + 1)
    assert not store.finish_job(lease, NOW + 2)
    again = store.begin_job(JOB, NOW + 2, 30.0)
    assert store.finish_job(again, NOW + 3)
    assert store.outbox_size() == 0


def test_a_rescheduled_job_has_spent_as_many_attempts_as_it_is_told(store: Store):
    store.put_jobs([JOB], NOW)
    lease = store.begin_job(JOB, NOW, 30.0)
    assert store.reschedule_job(lease, NOW + 5, "no answer", lease.attempts) == NOW + 5
    assert store.begin_job(JOB, NOW + 1, 30.0) is None
    second = store.begin_job(JOB, NOW + 5, 30.0)
    assert second.attempts == 2
    store.reschedule_job(second, NOW + 6, attempts=1)
    third = store.begin_job(JOB, NOW + 6, 30.0)
    assert third.attempts == 2
    store.reschedule_job(third, NOW + 7, attempts=0)
    assert store.begin_job(JOB, NOW + 7, 30.0).attempts == 1


def test_a_lost_message_is_told_again_but_not_with_every_sweep(store: Store):
    store.put_jobs([JOB], NOW)
    assert told(store, NOW + 2, 1.0) == [JOB]
    assert told(store, NOW + 3, 1.0) == []
    assert told(store, NOW + 3600, 1.0) == [JOB]


def test_a_lease_has_one_holder_until_it_runs_out(store: Store):
    taken = at_once(4, lambda n: store.take_lease("clock", f"h{n}", 10.0, NOW))
    assert taken.count(True) == 1
    holder = f"h{taken.index(True)}"
    assert store.take_lease("clock", holder, 10.0, NOW + 9)
    assert not store.take_lease("clock", "another", 10.0, NOW + 18)
    assert store.take_lease("clock", "another", 10.0, NOW + 20)
    store.drop_lease("clock", holder)
    assert not store.take_lease("clock", "third", 10.0, NOW + 21), "only the holder drops it"
