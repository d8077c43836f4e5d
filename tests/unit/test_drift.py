"""Whose hand it was: what a rollout has left, what someone else has made of it, and what is said about it once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodewise.domain.access import Audit
from nodewise.domain.drift import FOREIGN, FOUND, Record, as_left, news, runs_as_asked, unproven
from nodewise.domain.model import Phase
from nodewise.domain.release import Release, ReleaseState, marked
from nodewise.domain.swarm import ServiceView
from tests.unit.swarm_values import NEW, OLD, before, plan, rollout, seen, spec, task, written

OTHER = "sha256:" + "c" * 64
UPDATE = {"Delay": 5}
BACK = {"FailureAction": "continue"}


def ended(phase, **changes):
    return rollout(phase, plan=plan(update_config=UPDATE), written_at=100.0, ended_at=160.0, **changes)


def service(digest, mark="", update=None, **changes):
    body = marked(spec(digest, **changes), mark, update) if mark else spec(digest, **changes)
    return ServiceView("s1", "web", 12, body)


FORWARD = service(NEW, "r-1", UPDATE)
TAKEN_BACK = service(OLD, "r-1/rollback", BACK)
UNTOUCHED = before()
FOREIGN_IMAGE = service(OTHER, "r-1", UPDATE)
LABELS_LOST = service(NEW)


# -- what a rollout has left -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "left"),
    [
        (Phase.SUCCEEDED, [FORWARD]),
        (Phase.FROZEN, [FORWARD]),
        (Phase.ROLLED_BACK, [TAKEN_BACK, UNTOUCHED]),
        (Phase.ROLLED_BACK_BY_SWARM, [FORWARD, TAKEN_BACK, UNTOUCHED]),
        (Phase.ABORTED, [FORWARD, TAKEN_BACK, UNTOUCHED]),
        (Phase.CHANGED, []),
    ],
)
def test_each_ending_leaves_the_service_as_it_says(phase: Phase, left: list[ServiceView]):
    everything = (FORWARD, TAKEN_BACK, UNTOUCHED, FOREIGN_IMAGE, LABELS_LOST)
    assert [s for s in everything if as_left(ended(phase), s)] == left


def test_a_rollout_that_clears_up_has_left_what_it_will_end_as():
    assert as_left(ended(Phase.CLEARING, ends_as=Phase.SUCCEEDED), FORWARD)
    assert not as_left(ended(Phase.CLEARING, ends_as=Phase.ROLLED_BACK), FORWARD)


def test_scaling_is_no_drift():
    scaled = service(NEW, "r-1", UPDATE, replicas=9)
    assert as_left(ended(Phase.SUCCEEDED), scaled)


def test_a_release_that_was_taken_back_and_is_put_there_again_is_drift():
    assert not as_left(ended(Phase.ROLLED_BACK), FORWARD)


def test_a_native_rollback_after_a_success_is_drift():
    assert not as_left(ended(Phase.SUCCEEDED), UNTOUCHED)


# -- what is said --------------------------------------------------------------------------------------------


def release(number, digest=OTHER, **changes):
    made = Release("web", number, f"reg/web@{digest}", digest, spec(digest), FOREIGN, ReleaseState.NEW, 1.0)
    return replace(made, **changes)


def said(number, at, what="changed by someone else"):
    return Audit(at, "someone else", "drift", "web", f"release {number}: {what}, reg/web")


def found(record, runs=True):
    return news(FOREIGN_IMAGE, spec(OTHER), record, runs, 200.0)


LAST = ended(Phase.SUCCEEDED)


@pytest.mark.parametrize(("number", "origin"), [(1, FOUND), (3, FOREIGN)])
@pytest.mark.parametrize(("runs", "state"), [(True, ReleaseState.GOOD), (False, ReleaseState.NEW)])
def test_a_spec_that_is_on_no_record_becomes_a_release(number: int, origin: str, runs: bool, state: ReleaseState):
    told = found(Record(number, last=LAST), runs)
    assert told.new
    assert (told.release.number, told.release.origin, told.release.state) == (number, origin, state)
    assert (told.release.digest, told.release.spec) == (OTHER, spec(OTHER))
    assert told.audit.detail == f"release {number}: {origin}, {told.release.image}"


@pytest.mark.parametrize(
    ("told", "again"),
    [(None, True), (said(3, 50.0), True), (said(4, 150.0), True), (said(3, 150.0), False)],
    ids=["never told", "told before the last rollout", "another was told since", "told since"],
)
def test_a_release_that_runs_again_is_told_once(told: Audit | None, again: bool):
    good = release(3, state=ReleaseState.GOOD)
    heard = found(Record(5, same=good, last=LAST, told=told))
    assert (heard is not None) is again
    assert heard is None or (not heard.new and "release 3: runs again" in heard.audit.detail)


def test_release_30_is_not_taken_for_release_3():
    assert found(Record(31, same=release(3, state=ReleaseState.GOOD), last=LAST, told=said(30, 150.0))) is not None


def test_what_no_rollout_has_ever_written_and_nobody_has_told_of_is_nothing_new():
    assert found(Record(2, same=release(1, state=ReleaseState.GOOD))) is None


@pytest.mark.parametrize(
    ("same", "runs", "proven"),
    [
        (release(3), True, True),
        (release(3), False, False),
        (release(3, origin="someone, r-9"), True, False),
        (release(3, state=ReleaseState.BAD), True, False),
    ],
    ids=["runs", "does not run yet", "a rollout's", "taken back once"],
)
def test_a_foreign_release_is_good_once_all_of_it_runs(same: Release, runs: bool, proven: bool):
    heard = found(Record(4, same=same, last=LAST, told=said(3, 150.0)), runs)
    assert (heard is not None and heard.proven and not heard.new) is proven
    assert unproven(same) is (same.origin == FOREIGN and same.state is ReleaseState.NEW)


@pytest.mark.parametrize(
    ("view", "tasks", "runs"),
    [
        (written("completed"), [task(1), task(2), task(3)], True),
        (written(""), [task(1), task(2), task(3)], True),
        (written("updating"), [task(1), task(2), task(3)], False),
        (written("completed"), [task(1), task(2), task(3, state="starting")], False),
        (written("completed"), [task(1), task(2), task(3, new=False)], False),
        (written("completed"), [task(1), task(2)], False),
        (written("completed"), [], False),
    ],
    ids=["all", "nothing to update", "updating", "one starts", "one is old", "one is missing", "none"],
)
def test_a_release_runs_when_every_task_does_and_swarm_has_nothing_left_to_do(view, tasks, runs: bool):
    assert runs_as_asked(view, seen(view, *tasks)) is runs
