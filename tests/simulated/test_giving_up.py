"""Jobs that fail, for good or too often, or kill their worker: what they were for ends, and nothing is left hanging."""

from __future__ import annotations

from collections.abc import Callable
from threading import Semaphore
from typing import Any

import pytest

from nodewise.domain.build import Build, BuildState
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.events import CodePushed
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.rollout import Cause, Phase, Rollout, move
from tests.chaos.dying import Killed
from tests.simulated.parts import CLOSED, pushed
from tests.world import World, world

STAGED = {"replicas": None, "strategy": "staged"}


class Failing:
    """An engine that raises *error* instead of answering *question*, as often as *times* says."""

    def __init__(self, inner: Any, question: str, error: BaseException, times: int) -> None:
        self._inner, self._question, self._error, self.times = inner, question, error, times

    def __getattr__(self, name: str) -> Any:
        return self._fail if name == self._question and self.times > 0 else getattr(self._inner, name)

    def _fail(self, *_: Any) -> Any:
        self.times -= 1
        raise self._error


class Stale:
    """A store whose first answer to what holds the service is *other*, which has ended by now."""

    def __init__(self, inner: Any, other: Rollout) -> None:
        self._inner, self._others = inner, [other]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def active_rollout(self, service: str) -> Rollout | None:
        return self._others.pop() if self._others else self._inner.active_rollout(service)


def fail(w: World, question: str, error: BaseException, times: int) -> None:
    w.deps = w.new_worker(engine=Failing(w.swarm, question, error, times))


def until(w: World, fact: Callable[[], Any], **parts: Any) -> None:
    """Let jobs be done until *fact*; a worker that is killed is followed by one with the same engine and *parts*."""
    end = w.clock.now() + 36_000
    while not fact():
        assert w.clock.now() < end, w.told()
        try:
            w.step()
        except Killed:
            w.deps = w.new_worker(engine=w.deps.engine, **parts)


def staging(w: World) -> Rollout:
    """A rollout with two candidates."""
    w.service(**STAGED, bake="5s")
    rollout = w.deploy(w.push("1.1.0"))
    w.run(lambda: len(w.helpers()) == 2)
    return rollout


@pytest.mark.parametrize(("error", "times"), [(GiveUp("it will never do"), 1), (RetryLater("not now"), 200)])
def test_a_rollout_given_up_goes_on_until_what_it_made_is_gone(error, times):
    with world() as w:
        rollout = staging(w)
        fail(w, "tasks", error, times)
        ended = w.end(rollout, 7200)
        assert ended.phase is Phase.FAILED
        assert error.what in ended.reason
        assert w.helpers() == []
        assert w.running() == ["1.0.0"] * 5
        w.wait(2)
        assert w.deps.store.outbox_size() == 0


def test_clearing_that_is_given_up_ends_and_tells_that_something_may_be_left():
    with world() as w:
        rollout = staging(w)
        fail(w, "tasks", GiveUp("it will never do"), 2)
        ended = w.end(rollout)
        assert ended.phase is Phase.FAILED
        assert "nodewise doctor" in ended.reason


def test_a_rollout_that_no_job_would_look_at_again_is_found_by_the_sweep():
    with world() as w:
        rollout = staging(w)
        store = w.deps.store
        lease = store.begin_job(Job(Verb.ADVANCE, rollout.id), w.clock.now() + 3600, 1.0)
        store.finish_job(lease, w.clock.now())
        assert store.outbox_size() == 0
        assert w.end(rollout).phase is Phase.SUCCEEDED


def test_an_app_whose_job_is_given_up_calls_off_those_that_wait_for_their_turn():
    with world() as w:
        for n, name in enumerate(("web", "worker")):
            w.service(name, replicas=2, strategy="cells", app="shop", stage=str(n))
        w.deploy(w.push("1.1.0"))
        waits = w.run(lambda: next((r for r in w.deps.store.rollouts("worker") if r.phase is Phase.WAITING), None))
        fail_app = Failing(w.deps.store, "app_members", GiveUp("it will never do"), 1)
        w.deps = w.new_worker(store=fail_app)
        ended = w.end(waits)
        assert ended.phase is Phase.ABORTED
        assert "it will never do" in ended.reason


def test_a_job_that_kills_its_worker_each_time_is_given_up_at_its_cap():
    with world() as w:
        w.service()
        rollout = w.deploy(w.push("1.1.0"))
        w.reaches(rollout, Phase.MOVING)
        fail(w, "tasks", Killed(), 10_000)
        until(w, lambda: w.get(rollout).phase.terminal)
        ended = w.get(rollout)
        assert ended.phase is Phase.FAILED
        assert "the last of 200 attempts took its worker with it" in ended.reason
        until(w, lambda: w.deps.store.outbox_size() == 0)


def test_a_plan_that_kills_its_worker_each_time_is_refused_at_its_cap():
    with world() as w:
        w.service()
        rollout = w.deploy(w.push("1.1.0"))
        fail(w, "nodes", Killed(), 10_000)
        until(w, lambda: w.get(rollout).phase.terminal)
        assert w.get(rollout).phase is Phase.FAILED
        assert "60 attempts" in w.get(rollout).reason
        assert w.deps.engine.times == 10_000 - 60


class Slots:
    """One build at a time, and every second build that asks finds another one at it."""

    def __init__(self) -> None:
        self.asked = 0

    def acquire(self, blocking: bool) -> bool:
        self.asked += 1
        return self.asked % 2 == 0

    def release(self) -> None:
        pass


def asked_build(w: World) -> Build:
    now = w.clock.now()
    build = Build("b-1", "web", "git://web", "refs/heads/main", "c" * 40, w.image("1"), BuildState.WAITING, now)
    event, _ = w.deps.store.add_event(CodePushed(build.repository, build.ref, build.commit), "test", now)
    w.deps.store.finish_event(event, "", now, builds=[build])
    return build


@pytest.mark.parametrize("slots", [Semaphore, Slots], ids=["", "and waits for a slot between"])
@pytest.mark.parametrize("error", [Killed(), RetryLater("not now")], ids=["kills its worker", "fails"])
def test_a_build_that_comes_to_nothing_each_time_fails_at_its_cap(error, slots):
    with world() as w:
        build = asked_build(w)
        git, slot = Failing(w.deps.git, "look", error, 10_000), slots()
        w.deps = w.new_worker(git=git, build_slots=slot)
        until(w, lambda: w.deps.store.build(build.id).state.terminal, git=git, build_slots=slot)
        assert w.deps.store.build(build.id).state is BuildState.FAILED
        assert git.times == 10_000 - 10


def test_a_build_that_waits_for_a_slot_spends_no_attempt():
    with world() as w:
        build = asked_build(w)
        git = Failing(w.deps.git, "look", GiveUp("it has been tried"), 1)
        w.deps = w.new_worker(git=git, build_slots=Semaphore(0))
        w.wait(60)
        assert w.deps.store.build(build.id).state is BuildState.WAITING
        w.deps.build_slots.release()
        until(w, lambda: w.deps.store.build(build.id).state.terminal)
        assert "it has been tried" in w.deps.store.build(build.id).error


@pytest.mark.parametrize(
    ("error", "after", "log"),
    [
        pytest.param(RetryLater("not now"), 1.0, "it broke", id="the store is away"),
        pytest.param(Killed(), 8.0, "it broke", id="killed"),
        pytest.param(Killed(), 1.0, "printed nothing", id="killed, and the task is forgotten meanwhile"),
    ],
)
def test_a_rollout_that_ends_and_loses_its_worker_before_the_evidence_gets_it_from_the_next(error, after, log):
    with world() as w:
        w.service(on_failure="freeze", watch="60s")
        rollout = w.deploy(w.push("1.1.0", exits_after=after, exit_code=3, last_words=("it broke",)))
        w.deps = w.new_worker(store=Failing(w.deps.store, "set_evidence", error, 1))
        until(w, lambda: w.get(rollout).phase.terminal)
        ended = w.get(rollout)
        assert (ended.phase, ended.helpers, ended.evidence) == (Phase.FROZEN, False, "")
        until(w, lambda: w.deps.store.outbox_size() == 0)
        assert ended.failing_task in w.get(rollout).evidence
        assert "exit (3)" in w.get(rollout).evidence
        assert log in w.get(rollout).evidence


def test_a_rollout_that_came_to_wait_just_after_the_other_had_ended_is_planned_at_once():
    with world() as w:
        w.service()
        other = w.reaches(w.deploy(w.push("1.1.0")), Phase.MOVING)
        assert w.end(other).phase is Phase.SUCCEEDED
        rollout = w.deploy(w.push("1.2.0"))
        w.deps = w.new_worker(store=Stale(w.deps.store, other))
        w.perform(Job(Verb.PLAN, rollout.id))
        assert w.get(rollout).phase is Phase.PENDING
        w.perform(Job(Verb.PLAN, rollout.id))
        assert w.get(rollout).phase is Phase.MOVING


def test_what_waits_for_a_free_service_begins_while_another_waits_for_its_window():
    with world() as w:
        w.service(**CLOSED)
        pushed(w, "1.1.0")
        w.wait(5)
        held = w.latest()
        assert held.phase is Phase.PENDING
        rollout = w.deploy(w.push("1.2.0"))
        queued = move(w.get(rollout), Cause.BUSY, w.clock.now(), "waits for one that has ended meanwhile")
        w.deps.store.save_rollouts([queued], w.clock.now())
        assert w.end(rollout, 60).phase is Phase.SUCCEEDED
        assert w.get(held).phase is Phase.PENDING
