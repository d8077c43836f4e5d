"""A newer deploy and the one on its way, on the simulated swarm: who holds the service, and what a failure leaves."""

from __future__ import annotations

import pytest

from nodewise import control
from nodewise.domain.errors import Conflict, RetryLater
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.locks import Lock
from nodewise.domain.looks import PATIENCE
from nodewise.domain.rollout import Phase, Rollout
from nodewise.intake import publish
from nodewise.testing import App, SimulatedSwarm
from tasks.perform import perform, run
from tests.simulated.drawn import RELEASES, Lowest
from tests.simulated.parts import BAD, midway, pushed
from tests.world import SECOND, World, world


def test_a_newer_deploy_takes_over_between_two_tasks_and_a_queued_one_is_replaced_at_once():
    with world() as w:
        w.service(replicas=None, update={"Delay": 3 * SECOND})
        first = w.deploy(w.push("1.1.0"))
        midway(w)
        second, third = w.deploy(w.push("1.2.0")), w.deploy(w.push("1.3.0"))
        lowest = 5
        while not w.get(third).phase.terminal:
            w.step()
            lowest = min(lowest, len(w.running()))
        assert lowest == 4, "never one more down than the service's own parallelism"
        assert w.get(first).phase is Phase.SUPERSEDED
        assert w.get(second).phase is Phase.SUPERSEDED
        assert w.get(third).phase is Phase.SUCCEEDED
        assert w.running() == ["1.3.0"] * 5


class Unreliable:
    """The swarm, with a registry that may be away and managers that may take no write."""

    def __init__(self, swarm: SimulatedSwarm) -> None:
        self._swarm = swarm
        self.registry_away = self.no_writes = False

    def __getattr__(self, name):
        if (name == "resolve" and self.registry_away) or (name == "update_service" and self.no_writes):
            return self._away
        return getattr(self._swarm, name)

    def _away(self, *_args, **_more):
        raise RetryLater("no answer")


def half_way(w: World, tag: str = "1.1.0", **app) -> Rollout:
    """A rollout with one of five tasks moved, whose gate passes as long as nobody says otherwise."""
    w.service(replicas=5, track="semver:^1", update={"Delay": 5 * SECOND}, gate__http__url="http://{task}:80/")
    first = w.deploy(w.push(tag, **app))
    midway(w, tag=tag)
    return w.get(first)


COMES_TO_NOTHING = ["the window closes", "it is aborted", "the digest is locked", "the registry is away"]


@pytest.mark.parametrize("gates", ["hold", "fail"])
@pytest.mark.parametrize("why", COMES_TO_NOTHING)
def test_one_on_its_way_goes_on_with_its_gates_when_the_newer_one_comes_to_nothing(why, gates):
    sick = {"now": False}
    with world() as w:
        swarm = Unreliable(w.swarm)
        w.deps = w.new_worker(engine=swarm)
        first = half_way(w, start=2.0, http=lambda *_: 500 if sick["now"] else 200)
        w.run(lambda: len(w.running()) == 4)
        pushed(w, "1.2.0")
        second = w.run(lambda: w.latest() if w.latest().phase is Phase.QUEUED else None, 20)
        come_to_nothing(w, swarm, second, why)
        sick["now"] = gates == "fail"
        ended = w.end(first)
        assert w.get(second).phase is not Phase.MOVING
        assert ended.phase is (Phase.SUCCEEDED if gates == "hold" else Phase.ROLLED_BACK), ended.reason
        assert w.running() == (["1.1.0"] if gates == "hold" else ["1.0.0"]) * 5


@pytest.mark.parametrize("why", COMES_TO_NOTHING)
@pytest.mark.parametrize("hook", ["before", "after"])
def test_one_that_a_newer_one_has_to_wait_for_goes_on_when_that_comes_to_nothing_meanwhile(hook, why):
    with world() as w:
        swarm = Unreliable(w.swarm)
        w.deps = w.new_worker(engine=swarm)
        w.service(replicas=5, track="semver:^1", watch="5m", **{f"hook__{hook}": "migrate"})
        w.swarm.registry.command(("migrate",), App(exits_after=55.0))
        first = w.deploy(w.push("1.1.0"))
        w.run(w.helpers)
        w.wait(1)
        pushed(w, "1.2.0")
        second = w.run(lambda: w.latest() if w.latest().phase is Phase.QUEUED else None, 20)
        w.wait(45)
        assert w.get(second).phase is Phase.QUEUED
        come_to_nothing(w, swarm, second, why)
        watched = w.reaches(first, Phase.WATCHING)
        ended = w.end(first)
        assert (ended.phase, ended.reason) == (Phase.SUCCEEDED, "")
        assert ended.ended_at - (watched.watch_until - 300.0) >= 300.0, "nothing has cut its watch short"
        assert w.running() == ["1.1.0"] * 5


def come_to_nothing(w: World, swarm: Unreliable, second: Rollout, why: str) -> None:
    """While it waits for the first to make way; or, aborted, once it is being planned."""
    if why == "the window closes":
        w.settings.file.defaults["window"] = "mon-sun 20:00-21:00"
    elif why == "the digest is locked":
        w.deps.store.add_lock(Lock("web", "", "no more today", "alice", w.clock.now()))
    elif why == "the registry is away":
        swarm.registry_away = True
    else:
        swarm.registry_away = True
        w.run(lambda: w.get(second).phase is Phase.PENDING, 20)
        control.abort(w.deps, second.id, "alice")


def test_one_that_has_taken_over_and_ends_before_it_has_written_leaves_the_proven_release_everywhere():
    with world() as w:
        swarm = Unreliable(w.swarm)
        w.deps = w.new_worker(engine=swarm)
        first = half_way(w)
        swarm.no_writes = True
        second = w.reaches(w.deploy(w.push("1.2.0")), Phase.MOVING)
        assert w.get(first).phase is Phase.SUPERSEDED
        control.abort(w.deps, second.id, "alice")
        w.wait(2)
        swarm.no_writes = False
        assert w.end(second).phase is Phase.ABORTED
        assert w.running() == ["1.0.0"] * 5


def test_there_is_no_moment_in_which_a_moving_service_is_nobodys():
    with world() as w:
        half_way(w)
        last = w.deploy(w.push("1.2.0"))
        w.perform = lambda job: one_by_one(w, job)
        while not w.get(last).phase.terminal:
            w.step()
            assert w.get(last).phase.terminal or w.deps.store.active_rollout("web") is not None
        assert w.running() == ["1.2.0"] * 5


def one_by_one(w: World, job: Job) -> None:
    """What follows from a job at once is a job of its own: any other worker may come in between."""
    run(w.deps, job) if job.verb is Verb.SWEEP else publish(w.deps, perform(w.deps, job))


@pytest.mark.parametrize("swarms", ["pause", "rollback"])
def test_what_took_over_and_fails_goes_back_to_the_last_proven_release(swarms):
    with world() as w:
        w.service(replicas=None, update={"Delay": 3 * SECOND, "FailureAction": swarms})
        w.deploy(w.push("1.1.0"))
        midway(w)
        ended = w.end(w.deploy(w.push("1.2.0", **BAD)))
        assert ended.phase is Phase.ROLLED_BACK
        assert w.running() == ["1.0.0"] * 5


def test_a_rollout_that_hangs_is_turned_round_for_a_newer_one():
    with world() as w:
        w.service(replicas=None)
        stuck = w.deploy(w.push("1.1.0", start=100_000.0, healthcheck=True))
        w.reaches(stuck, Phase.MOVING)
        w.wait(10)
        fixed = w.deploy(w.push("1.2.0"))
        assert w.end(fixed, 300).phase is Phase.SUCCEEDED
        assert w.get(stuck).phase is Phase.SUPERSEDED
        assert w.running() == ["1.2.0"] * 5


def test_a_newer_one_that_its_tags_age_has_held_back_waits_for_a_task_on_its_way_like_any_other():
    with world() as w:
        w.service(replicas=5, track="semver:^1", min_age="60s", update={"Delay": 5 * SECOND})
        first = w.deploy(w.push("1.1.0", start=20.0, healthcheck=True))
        w.wait(1)
        pushed(w, "1.2.0")
        w.run(lambda: w.latest().phase is Phase.QUEUED, 90)
        assert len(w.running()) == 4, "a task is on its way"
        assert w.end(w.latest()).phase is Phase.SUCCEEDED
        ended = w.get(first)
        assert (ended.phase, ended.turned) == (Phase.SUPERSEDED, ""), ended.reason
        assert w.running() == ["1.2.0"] * 5


def test_a_rollout_whose_tasks_come_up_is_waited_for_by_a_newer_one_that_cannot_begin_in_between():
    """Without a delay there is no moment between two tasks, and the newer one begins with a chore anyway."""
    with world() as w:
        w.service(replicas=6, prepull="true")
        lowest = Lowest(w, "web")
        first = w.deploy(w.push("1.1.0", start=8.0, healthcheck=True))
        w.run(lambda: "1.1.0" in w.running())
        second = w.deploy(w.push("1.2.0"))
        w.wait(PATIENCE + 1)
        assert (w.get(first).phase, w.get(second).phase) == (Phase.MOVING, Phase.QUEUED)
        assert w.end(second).phase is Phase.SUCCEEDED
        assert w.get(first).phase is Phase.SUCCEEDED
        assert lowest.of["web"] == 5, "never one more down than the service's own parallelism"


@pytest.mark.parametrize("to", [None, 1])
def test_a_persons_rollback_of_what_is_taken_back_already_writes_nothing_anew_and_takes_nothing_more_down(to):
    """To a second update a task on its way is one that is done: with start-first its old task would be ended."""
    with world() as w:
        old = w.push("1.0.0", start=6.0, healthcheck=True)
        w.service("web", old, None, {"Order": "start-first"}, gate__http__url="http://{task}:80/")
        bad = w.deploy(w.push("1.1.0", **RELEASES["sick"]))
        w.reaches(bad, Phase.ROLLING_BACK)
        w.wait(3)
        lowest, before = Lowest(w, "web"), w.swarm.service("web")
        assert before.mark == f"{bad.id}/rollback"
        assert w.end(w.rollback(to=to)).phase is Phase.SUCCEEDED
        assert w.get(bad).phase is Phase.SUPERSEDED
        assert w.swarm.service("web").spec == before.spec
        assert (w.running(), lowest.of["web"]) == (["1.0.0"] * 5, 5)


def test_abort_takes_back_what_has_moved():
    with world() as w:
        w.service(replicas=None, update={"Delay": 3 * SECOND})
        rollout = w.deploy(w.push("1.1.0"))
        midway(w)
        with pytest.raises(Conflict, match="held half-way"):
            control.pause(w.deps, rollout.id, "alice")
        control.abort(w.deps, rollout.id, "alice")
        ended = w.end(rollout)
        assert (ended.phase, ended.reason) == (Phase.ABORTED, "aborted by alice")
        assert w.running() == ["1.0.0"] * 5
        with pytest.raises(Conflict, match="has ended"):
            control.abort(w.deps, rollout.id, "alice")
