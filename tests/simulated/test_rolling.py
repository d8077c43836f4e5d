"""rolling on the simulated swarm: someone else's hand, supersession, watch, chores, locks and windows."""

from __future__ import annotations

import pytest

from nodewise import control
from nodewise.domain.errors import Conflict, RetryLater
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.locks import Lock, against
from nodewise.domain.release import ReleaseState, digest_of
from nodewise.domain.rollout import Kind, Phase, Rollout
from nodewise.domain.swarm import image_of
from nodewise.intake import publish
from nodewise.testing import SimulatedSwarm
from tasks.perform import perform, run
from tests.world import SECOND, World, world

BAD = {"exits_after": 1.0, "exit_code": 3, "last_words": ("cannot find the configuration",)}


def midway(w: World, service: str = "web", tag: str = "1.1.0") -> None:
    w.run(lambda: 0 < w.running(service).count(tag) < len(w.running(service)))


def with_env(value: str):
    def change(spec):
        task = spec["TaskTemplate"]
        return {**spec, "TaskTemplate": {**task, "ContainerSpec": {**task["ContainerSpec"], "Env": [f"A={value}"]}}}

    return change


# -- someone else's hand ---------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["rolling", "staged"])
def test_an_update_by_someone_else_ends_the_rollout_and_loses_nothing(strategy):
    with world() as w:
        w.service(replicas=None, strategy=strategy, update={"Delay": 5 * SECOND})
        rollout = w.deploy(w.push("1.1.0"))
        w.reaches(rollout, Phase.MOVING, Phase.STAGING)
        w.wait(4)
        w.swarm.foreign_update("web", with_env("theirs"))
        ended = w.end(rollout)
        assert ended.phase is Phase.CHANGED
        assert "someone else" in ended.reason
        w.wait(120)
        assert w.swarm.service("web").spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=theirs"]
        assert w.helpers() == []


def test_the_same_stack_deployed_once_more_in_the_middle_is_someone_elses_hand():
    """Its file knows neither the new image nor Nodewise's label: the service is as it was planned upon."""
    with world() as w:
        file = w.service(replicas=None, update={"Delay": 5 * SECOND}).spec
        rollout = w.deploy(w.push("1.1.0"))
        midway(w)
        w.swarm.foreign_update("web", lambda _: file)
        assert w.end(rollout).phase is Phase.CHANGED
        w.wait(120)
        assert w.swarm.service("web").spec == file
        assert w.running() == ["1.0.0"] * 5


@pytest.mark.parametrize("lost", [False, True], ids=["", "and a node is lost"])
def test_an_update_by_someone_else_on_the_way_back_loses_nothing(lost: bool):
    with world() as w:
        w.service(replicas=None, update={"Delay": 2 * SECOND})
        rollout = w.deploy(w.push("1.1.0", exits_after=8.0, exit_code=3))
        w.reaches(rollout, Phase.ROLLING_BACK)
        w.run(lambda: w.swarm.service("web").mark == f"{rollout.id}/rollback")
        w.swarm.foreign_update("web", with_env("theirs"))
        if lost:
            w.swarm.node_down(w.swarm.nodes()[0].id)
        ended = w.end(rollout)
        assert (ended.phase, "someone else" in ended.reason) == (Phase.CHANGED, True)
        w.wait(120)
        assert w.swarm.service("web").spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=theirs"]


@pytest.mark.parametrize("strategy", ["rolling", "staged"])
def test_scaling_by_someone_else_is_no_quarrel(strategy):
    with world() as w:
        w.service(replicas=3, strategy=strategy, update={"Delay": 2 * SECOND})
        rollout = w.deploy(w.push("1.1.0"))
        w.reaches(rollout, Phase.MOVING, Phase.STAGING)
        w.swarm.scale("web", 5)
        assert w.end(rollout).phase is Phase.SUCCEEDED
        w.run(lambda: w.running() == ["1.1.0"] * 5, 60)


def test_a_native_rollback_in_the_middle_is_told_as_what_it_is():
    with world() as w:
        w.service(replicas=None, update={"Delay": 2 * SECOND})
        rollout = w.deploy(w.push("1.1.0"))
        midway(w)
        w.swarm.native_rollback("web")
        ended = w.end(rollout)
        assert ended.phase is Phase.CHANGED
        assert "someone else rolled the service back natively" in ended.reason
        w.run(lambda: w.running() == ["1.0.0"] * 5, 60)
        assert w.deps.store.locks("web") == [], "a person's choice says nothing of the release"


@pytest.mark.parametrize("strategy", ["rolling", "staged"])
def test_a_removed_service_ends_the_rollout_and_leaves_no_helper(strategy):
    with world() as w:
        view = w.service(replicas=None, strategy=strategy, update={"Delay": 2 * SECOND})
        rollout = w.deploy(w.push("1.1.0"))
        w.reaches(rollout, Phase.MOVING, Phase.STAGING)
        w.wait(3)
        w.swarm.remove_service(view.id)
        assert w.end(rollout).phase is Phase.CHANGED
        assert w.helpers() == []


# -- one after the other ---------------------------------------------------------------------------------


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
        w.push("1.2.0")
        w.pushed("1.2.0")
        second = w.run(lambda: w.latest() if w.latest().phase is Phase.QUEUED else None, 20)
        come_to_nothing(w, swarm, second, why)
        sick["now"] = gates == "fail"
        ended = w.end(first)
        assert w.get(second).phase is not Phase.MOVING
        assert ended.phase is (Phase.SUCCEEDED if gates == "hold" else Phase.ROLLED_BACK), ended.reason
        assert w.running() == (["1.1.0"] if gates == "hold" else ["1.0.0"]) * 5


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


# -- the watch -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["a gate", "a restart loop"])
def test_a_breach_within_the_watch_brings_the_release_before_back(how):
    with world() as w:
        bad = {"exits_after": 60.0, "exit_code": 1} if how == "a restart loop" else {}
        sick = {"http": lambda _path, seconds: 500 if seconds > 60 else 200} if how == "a gate" else {}
        w.service(replicas=2, watch="5m", gate__http__url="http://{task}:80/")
        rollout = w.deploy(w.push("1.1.0", **bad, **sick))
        w.reaches(rollout, Phase.WATCHING)
        assert w.running() == ["1.1.0"] * 2
        ended = w.end(rollout)
        assert ended.phase is Phase.ROLLED_BACK
        assert "during the watch" in ended.reason
        assert w.running() == ["1.0.0"] * 2


def test_a_watch_that_holds_ends_in_success_and_the_release_is_good_only_then():
    with world() as w:
        w.service(replicas=2, watch="2m")
        rollout = w.reaches(w.deploy(w.push("1.1.0")), Phase.WATCHING)
        began = w.clock.now()
        assert w.deps.store.release("web", 2).state is ReleaseState.NEW
        assert w.end(rollout).phase is Phase.SUCCEEDED
        assert w.clock.now() - began >= 120
        assert w.deps.store.release("web", 2).state is ReleaseState.GOOD


def test_a_newer_deploy_cuts_the_watch_short():
    with world() as w:
        w.service(replicas=2, watch="1h")
        first = w.reaches(w.deploy(w.push("1.1.0")), Phase.WATCHING)
        second = w.deploy(w.push("1.2.0"))
        w.reaches(second, Phase.WATCHING, seconds=120)
        assert w.get(first).phase is Phase.SUCCEEDED
        assert "cut short" in w.get(first).reason


# -- chores ----------------------------------------------------------------------------------------------


def test_hooks_run_once_each_before_and_after_and_their_log_is_kept():
    with world() as w:
        w.service(replicas=2, hook__before="migrate --all", hook__after="warm up")
        image = w.push("1.1.0", log=("migrated 7 tables",))
        jobs: dict[str, set[str]] = {"before": set(), "after": set()}
        rollout = w.deploy(image)
        while not w.get(rollout).phase.terminal:
            w.step()
            for helper in w.helpers():
                jobs[helper.helper].add(helper.id)
            if jobs["before"] and not w.get(rollout).chore("before").done:
                assert w.running() == ["1.0.0"] * 2, "nothing moves before"
        ended = w.get(rollout)
        assert ended.phase is Phase.SUCCEEDED, ended.reason
        assert {name: len(ids) for name, ids in jobs.items()} == {"before": 1, "after": 1}
        assert "migrated 7 tables" in ended.chore("before").log
        assert w.helpers() == []


def test_a_hook_that_fails_stops_before_anything_has_moved():
    with world() as w:
        view = w.service(replicas=2, hook__before="migrate")
        w.swarm.registry.command(("migrate",), type(w.swarm.registry.found(w.pinned(w.push("1.0.0")))[1])(**BAD))
        ended = w.end(w.deploy(w.push("1.1.0")))
        assert ended.phase is Phase.FAILED
        assert "nodewise.hook.before failed" in ended.reason
        assert "cannot find the configuration" in ended.chore("before").log
        assert w.swarm.service("web").version == view.version
        assert w.helpers() == []


def test_a_hook_whose_job_someone_removes_is_not_run_a_second_time():
    with world() as w:
        w.service(replicas=2, hook__before="migrate")
        w.swarm.registry.command(
            ("migrate",), type(w.swarm.registry.found(w.pinned(w.push("1.0.0")))[1])(exits_after=60)
        )
        rollout = w.deploy(w.push("1.1.0"))
        job = w.run(lambda: w.helpers() and w.get(rollout).chore("before").made and w.helpers()[0])
        w.swarm.remove_service(job.id)
        ended = w.end(rollout)
        assert ended.phase is Phase.FAILED
        assert "not run a second time" in ended.reason


def test_a_newer_deploy_lets_a_migration_finish():
    with world() as w:
        w.service(replicas=2, hook__before="migrate")
        w.swarm.registry.command(
            ("migrate",), type(w.swarm.registry.found(w.pinned(w.push("1.0.0")))[1])(exits_after=60)
        )
        first = w.deploy(w.push("1.1.0"))
        job = w.run(lambda: w.helpers() and w.get(first).chore("before").made and w.helpers()[0])
        second = w.deploy(w.push("1.2.0"))
        states = []
        while not w.get(first).phase.terminal:
            w.step()
            states += [t.state for t in w.swarm.tasks([job.id])]
        assert "running" in states
        assert states[-1] == "complete"
        assert w.get(first).phase is Phase.SUPERSEDED
        assert w.end(second).phase is Phase.SUCCEEDED, w.get(second).reason


def test_a_failing_hook_after_takes_the_release_back():
    with world() as w:
        w.service(replicas=2, hook__after="smoke-test")
        w.swarm.registry.command(
            ("smoke-test",), type(w.swarm.registry.found(w.pinned(w.push("1.0.0")))[1])(exits_after=1, exit_code=1)
        )
        ended = w.end(w.deploy(w.push("1.1.0")))
        assert ended.phase is Phase.ROLLED_BACK
        assert "nodewise.hook.after failed" in ended.reason
        assert w.running() == ["1.0.0"] * 2


def test_a_pre_pull_brings_the_image_to_every_node_before_anything_moves():
    with world() as w:
        view = w.service(replicas=2, prepull="true")
        rollout = w.deploy(w.push("1.1.0", pull=30.0))
        prepared = w.run(lambda: found if (found := w.get(rollout)).chores and found.chores[0].done else None)
        assert w.swarm.service("web").version == view.version
        assert "5 nodes" in prepared.chore("prepull").detail
        began = w.clock.now()
        assert w.end(rollout).phase is Phase.SUCCEEDED
        assert w.clock.now() - began < 30, "nothing is pulled any more"


def test_an_image_that_a_node_cannot_pull_is_found_out_before_anything_moves():
    with world() as w:
        view = w.service(replicas=2, prepull="true")
        ended = w.end(w.deploy(w.push("1.1.0", pullable=False)))
        assert ended.phase is Phase.FAILED
        assert "cannot pull" in ended.reason
        assert "full disk" in ended.reason
        assert w.swarm.service("web").version == view.version
        assert w.helpers() == []


def test_an_approval_is_asked_for_before_the_write_and_is_bound_to_the_digest():
    with world() as w:
        view = w.service(replicas=2, gate__approval="true", track="same", deadline="20s")
        first = w.reaches(w.deploy(w.push("1.1.0")), Phase.PREPARING)
        w.wait(60)
        assert w.swarm.service("web").version == view.version
        control.approve(w.deps, first.id, "bob")
        assert w.end(first).phase is Phase.SUCCEEDED
        w.swarm.push(w.image("1.1.0"), type(w.swarm.registry.found(w.pinned(w.image("1.1.0")))[1])(start=0.7))
        second = w.reaches(w.deploy(w.image("1.1.0")), Phase.PREPARING)
        w.wait(10)
        assert w.get(second).phase is Phase.PREPARING, "the tag's new digest wants an approval of its own"


# -- locks, windows, ages --------------------------------------------------------------------------------


def test_a_digest_that_was_taken_back_is_locked_until_a_person_insists():
    with world() as w:
        w.service(replicas=2, track="semver:^1")
        image = w.push("1.1.0", **BAD)
        w.pushed("1.1.0")
        w.run(lambda: w.deps.store.rollouts() and w.latest().phase.terminal)
        assert w.latest().phase is Phase.ROLLED_BACK
        digest = digest_of(w.latest().plan.target)
        assert against(w.deps.store.locks("web"), digest)
        w.swarm.registry.tag(image, "1.1.1")
        w.pushed("1.1.1")
        w.run(
            lambda: (
                w.deps.store.rollouts() and w.latest().image.startswith(w.image("1.1.1")) and w.latest().phase.terminal
            )
        )
        assert "locked" in w.latest().reason
        insisted = w.deploy(image)
        w.reaches(insisted, Phase.MOVING)


@pytest.mark.parametrize("how", ["a person's rollback", "its deadline", "someone else"])
def test_a_release_that_a_veto_has_turned_round_is_bad_and_locked_however_the_way_back_ends(how):
    endings = {"a person's rollback": Phase.SUPERSEDED, "its deadline": Phase.FAILED, "someone else": Phase.CHANGED}
    sick = {"now": False}
    with world() as w:
        w.service(replicas=3, deadline="60s", update={"Delay": 9 * SECOND}, gate__http__url="http://{task}:80/")
        rollout = w.deploy(w.push("1.1.0", http=lambda *_: 500 if sick["now"] else 200))
        w.run(lambda: w.running().count("1.1.0") == 2)
        sick["now"] = True
        w.reaches(rollout, Phase.ROLLING_BACK)
        if how == "a person's rollback":
            w.end(w.rollback())
        elif how == "its deadline":
            for node in w.swarm.nodes():
                w.swarm.drain(node.name)
        else:
            w.swarm.remove_service(w.get(rollout).service_id)
        ended = w.end(rollout)
        assert ended.phase is endings[how], ended.reason
        assert w.deps.store.release("web", ended.to_number).state is ReleaseState.BAD
        lock = against(w.deps.store.locks("web"), digest_of(ended.plan.target))
        assert lock is not None
        assert "gate http failed" in lock.reason
        assert [found.digest for found in w.deps.store.locks("web")] == [lock.digest]


def test_a_locked_service_takes_no_deploy_but_a_rollback():
    with world() as w:
        w.service(replicas=2)
        assert w.end(w.deploy(w.push("1.1.0"))).phase is Phase.SUCCEEDED
        control.lock(w.deps, "web", "the year's last week", "alice")
        refused = w.end(w.deploy(w.push("1.2.0")))
        assert refused.phase is Phase.FAILED
        assert "the year's last week" in refused.reason
        assert w.end(w.rollback()).phase is Phase.SUCCEEDED
        assert w.running() == ["1.0.0"] * 2
        control.unlock(w.deps, "web", "alice")
        assert w.end(w.deploy(w.image("1.2.0"))).phase is Phase.SUCCEEDED


@pytest.mark.parametrize("swarms", ["pause", "rollback"])
def test_on_failure_freeze_leaves_the_release_where_it_is_and_locks_the_service(swarms):
    with world() as w:
        w.service(replicas=2, on_failure="freeze", update={"FailureAction": swarms})
        ended = w.end(w.deploy(w.push("1.1.0", **BAD)))
        assert ended.phase is Phase.FROZEN
        w.wait(60)
        assert image_of(w.swarm.service("web").spec).startswith(w.image("1.1.0"))
        assert "locked" in w.end(w.deploy(w.push("1.2.0"))).reason


def test_an_event_waits_for_the_window_and_the_newest_tag_goes_when_it_opens():
    with world() as w:
        w.service(replicas=2, track="semver:^1", window="!mon-sun 00:00-08:10")
        for tag in ("1.1.0", "1.2.0"):
            w.push(tag)
            w.pushed(tag)
            w.wait(5)
        waiting = w.latest()
        assert waiting.phase is Phase.PENDING
        assert "window" in waiting.reason
        assert w.end(waiting, 1200).phase is Phase.SUCCEEDED
        assert w.running() == ["1.2.0"] * 2
        assert [r.phase for r in w.deps.store.rollouts()] == [Phase.SUCCEEDED, Phase.SUPERSEDED]


def test_a_tag_is_followed_once_it_is_old_enough():
    with world() as w:
        w.service(replicas=2, track="semver:^1", min_age="10m")
        w.push("1.1.0")
        w.pushed("1.1.0")
        w.wait(590)
        assert w.running() == ["1.0.0"] * 2
        assert w.end(w.latest(), 120).phase is Phase.SUCCEEDED


def test_a_rollback_takes_over_a_staged_rollout_at_once():
    with world() as w:
        w.service(replicas=None, strategy="staged", bake="1m")
        rollout = w.reaches(w.deploy(w.push("1.1.0")), Phase.STAGING)
        w.wait(10)
        back = w.rollback()
        assert w.end(back).phase is Phase.SUCCEEDED
        assert w.end(rollout).phase is Phase.SUPERSEDED
        assert w.running() == ["1.0.0"] * 5
        assert w.helpers() == []
        assert w.get(back).kind is Kind.ROLLBACK
