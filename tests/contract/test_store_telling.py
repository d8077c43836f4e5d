"""What is told, on both databases: asked for with the change that is worth telling, and kept by channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from nodewise.domain.build import Build, BuildState
from nodewise.domain.errors import LostRace
from nodewise.domain.events import CodePushed
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.rollout import Phase
from nodewise.domain.told import OnRecord
from nodewise.store import Store
from tests.contract.store_parts import EVENT, NOW, rollout
from tests.contract.store_parts import told as due
from tests.unit.swarm_values import NEW, OLD

BUILD = Build("b-1", "web", "https://git.test/web", "refs/heads/main", "c" * 40, "reg/web:1", BuildState.WAITING, NOW)


@pytest.fixture
def teller(url: str) -> Iterator[Store]:
    """A store in which somebody is to be told."""
    opened = Store.open(url, tells=True)
    opened.migrate()
    yield opened
    opened.close()


def asked(store: Store) -> list[str]:
    """Whose telling was asked for since the last time."""
    jobs = [Job(Verb.TELL, job.subject) for job in due(store, NOW + 100, 1.0) if job.verb is Verb.TELL]
    for job in jobs:
        store.finish_job(store.begin_job(job, NOW + 100, 1.0), NOW + 100)
    return sorted(job.subject for job in jobs)


def add_build(store: Store, build: Build) -> None:
    event_id, _ = store.add_event(CodePushed("x", "y", build.id), "test", NOW)
    store.finish_event(event_id, "", NOW, builds=[build])


def test_whatever_is_new_is_to_be_told(teller: Store):
    teller.add_rollout(rollout("r-1"), NOW, "test")
    event_id, _ = teller.add_event(EVENT, "test", NOW)
    teller.finish_event(event_id, "", NOW, rollouts=[rollout("r-2", "other")], builds=[BUILD])
    teller.save_rollouts([], NOW, new=[rollout("r-3", "third")])
    assert asked(teller) == ["b-1", "r-1", "r-2", "r-3"]


def test_a_change_is_to_be_told_where_it_means_something_to_a_person(teller: Store):
    teller.add_rollout(rollout(), NOW, "test")
    first = teller.rollout("r-1")
    asked(teller)
    (moving,) = teller.save_rollouts([replace(first, phase=Phase.MOVING)], NOW, before=first)
    assert asked(teller) == ["r-1"]
    (watched,) = teller.save_rollouts([replace(moving, phase=Phase.WATCHING, reason="x")], NOW, before=moving)
    assert asked(teller) == [], "it is on its way still"
    teller.save_rollouts([replace(watched, phase=Phase.SUCCEEDED)], NOW)
    assert asked(teller) == ["r-1"]


def test_a_builds_change_is_to_be_told(teller: Store):
    add_build(teller, BUILD)
    asked(teller)
    teller.save_build(replace(teller.build("b-1"), state=BuildState.FAILED), NOW)
    assert asked(teller) == ["b-1"]


def test_the_loser_of_a_race_has_nothing_to_tell(teller: Store):
    teller.add_rollout(rollout(), NOW, "test")
    read = teller.rollout("r-1")
    teller.save_rollouts([read], NOW)
    asked(teller)
    with pytest.raises(LostRace):
        teller.save_rollouts([replace(read, phase=Phase.MOVING)], NOW)
    assert asked(teller) == []


def test_what_is_to_be_told_waits_for_a_second_and_the_queue_is_told_in_time(teller: Store):
    teller.add_rollout(rollout(), NOW, "test")
    assert teller.begin_job(Job(Verb.TELL, "r-1"), NOW + 0.5, 1.0) is None
    assert (Job(Verb.TELL, "r-1"), 0.5) in teller.due_jobs(NOW + 0.5, 1.0, 1.5)
    assert teller.begin_job(Job(Verb.TELL, "r-1"), NOW + 1.0, 1.0) is not None


def test_where_nobody_is_to_be_told_nothing_is_asked_for(store: Store):
    store.add_rollout(rollout(), NOW, "test")
    add_build(store, BUILD)
    assert asked(store) == []


def test_what_a_channel_was_told_last_takes_the_place_of_what_it_was_told_before(store: Store):
    first = OnRecord("r-1", "notifications.0", "started", "7", 2, NOW)
    last = OnRecord("r-1", "notifications.0", "waiting: stage 1", "7")
    other = OnRecord("r-1", "statuses.hub", "started")
    for record in (first, other, last, OnRecord("r-2", "statuses.hub", "failed")):
        store.save_told(record)
    assert store.told("r-1") == {"notifications.0": last, "statuses.hub": other}
    assert store.told("r-9") == {}


def test_the_build_behind_an_image_is_the_newest_that_was_pushed_as_its_digest_or_by_its_name(store: Store):
    pushed = replace(BUILD, state=BuildState.PUSHED, digest=NEW)
    for build in (
        pushed,
        replace(pushed, id="b-2", commit="d" * 40),
        replace(pushed, id="b-3", digest="", state=BuildState.FAILED),
    ):
        add_build(store, build)
    assert store.build_behind("other/name:1", NEW).id == "b-2"
    assert store.build_behind("reg/web:1", "").id == "b-2"
    assert store.build_behind("reg/web:1", OLD) is None, "another image has had that name since"
