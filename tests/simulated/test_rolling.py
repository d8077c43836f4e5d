"""rolling on the simulated swarm: someone else's hand, watch, chores, locks and windows."""

from __future__ import annotations

import pytest

from nodewise import control
from nodewise.domain.locks import against
from nodewise.domain.release import ReleaseState, digest_of
from nodewise.domain.rollout import Kind, Phase, Rollout
from nodewise.domain.swarm import ServiceView, image_of
from nodewise.testing import App
from tests.simulated.parts import BAD, CLOSED, midway, pushed
from tests.world import SECOND, World, world


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
        w.swarm.registry.command(("migrate",), App(**BAD))
        ended = w.end(w.deploy(w.push("1.1.0")))
        assert ended.phase is Phase.FAILED
        assert "nodewise.hook.before failed" in ended.reason
        assert "cannot find the configuration" in ended.chore("before").log
        assert w.swarm.service("web").version == view.version
        assert w.helpers() == []


def migrating(w: World) -> tuple[Rollout, ServiceView]:
    """A rollout, and the job of its migration, which takes a minute and has begun."""
    w.service(replicas=2, hook__before="migrate")
    w.swarm.registry.command(("migrate",), App(exits_after=60))
    rollout = w.deploy(w.push("1.1.0"))
    w.run(lambda: w.get(rollout).chores and w.get(rollout).chore("before").made)
    (job,) = w.helpers()
    return rollout, job


def test_a_hook_whose_job_someone_removes_is_not_run_a_second_time():
    with world() as w:
        rollout, job = migrating(w)
        w.swarm.remove_service(job.id)
        ended = w.end(rollout)
        assert ended.phase is Phase.FAILED
        assert "not run a second time" in ended.reason


def test_a_newer_deploy_lets_a_migration_finish():
    with world() as w:
        first, job = migrating(w)
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
        w.swarm.registry.command(("smoke-test",), App(exits_after=1, exit_code=1))
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
        image = pushed(w, "1.1.0", **BAD)
        w.run(lambda: w.deps.store.rollouts() and w.latest().phase.terminal)
        assert w.latest().phase is Phase.ROLLED_BACK
        digest = digest_of(w.latest().plan.target)
        assert against(w.deps.store.locks("web"), digest)
        w.swarm.registry.tag(image, "1.1.1")
        w.pushed("1.1.1")
        w.run(lambda: w.latest().image.startswith(w.image("1.1.1")) and w.latest().phase.terminal)
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
        w.service(**CLOSED)
        for tag in ("1.1.0", "1.2.0"):
            pushed(w, tag)
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
        pushed(w, "1.1.0")
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
