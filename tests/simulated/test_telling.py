"""What becomes of rollouts and builds is told: once for each change that means something to a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from nodewise.domain.errors import GiveUp
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.rollout import Phase
from nodewise.domain.told import State, Told
from nodewise.ports import Channel
from nodewise.store import Store
from nodewise.testing import RecordingChannel
from tasks.tell import TRIES
from tests.chaos.dying import Killed
from tests.simulated.parts import BAD
from tests.simulated.stage import SimulatedStage, Simulation
from tests.world import World, world


def telling(w: World, *channels: Channel) -> None:
    """From here on, these are told."""
    w.deps.store.close()
    w.deps = replace(w.deps, store=Store.open(w.url, w.chance, tells=True), channels=channels)


@contextmanager
def told_world(*channels: Channel, **settings: str) -> Iterator[World]:
    with world(**settings) as w:
        telling(w, *channels)
        yield w


def quiet(w: World, seconds: float = 900.0) -> None:
    """Until there is nothing to do."""
    w.run(lambda: w.deps.store.outbox_size() == 0, seconds)


class Refusing(RecordingChannel):
    """Says no to everything, in its own way."""

    def __init__(self, error: Exception) -> None:
        super().__init__("refusing")
        self.error = error

    def tell(self, told: Told, kept: str) -> str:
        self.asked += 1
        raise self.error


class Deadly(RecordingChannel):
    """Takes its worker with it once, when it has been told."""

    def tell(self, told: Told, kept: str) -> str:
        super().tell(told, kept)
        if len(self.heard) == 1:
            raise Killed("in the middle of telling")
        return ""


def test_a_rollout_is_told_once_for_each_state_and_not_for_each_phase_or_node():
    channel = RecordingChannel()
    with told_world(channel) as w:
        w.service(replicas=5, watch="60s")
        rollout = w.end(w.deploy(w.push("1.1.0")))
        quiet(w)
        assert channel.states() == ["started", "succeeded"]
        last = channel.heard[-1]
        assert (last.service, last.image, last.who) == ("web", w.image("1.1.0"), "test")
        assert last.title == "web: rollout succeeded"
        assert f"{rollout.id} of web to {w.image('1.1.0')} (release 1 to 2), asked for by test" in last.text


def test_what_is_taken_back_is_told_with_the_reason():
    channel = RecordingChannel()
    with told_world(channel) as w:
        w.service()
        rollout = w.end(w.deploy(w.push("1.1.0", **BAD)))
        quiet(w)
        assert channel.states() == ["started", "taking_back", "rolled_back"]
        assert channel.heard[-1].reason == rollout.reason
        assert rollout.reason in channel.heard[-1].text


def test_every_question_is_told_and_the_answer_is_too():
    channel = RecordingChannel(on=(State.WAITING, State.SUCCEEDED))
    with told_world(channel) as w:
        w.service(replicas=2, strategy="staged", gate__approval="each")
        rollout = w.deploy(w.push("1.1.0"))
        w.run(lambda: channel.states() == ["waiting"])
        w.control.approve(w.deps, rollout.id, "alice")
        w.run(lambda: channel.states() == ["waiting", "waiting"])
        assert [t.occasion for t in channel.heard] == ["waiting: stage 1", "waiting: write"]
        assert f"nodewise approve {rollout.id}" in channel.heard[0].text
        w.control.approve(w.deps, rollout.id, "alice")
        w.end(rollout)
        quiet(w)
        assert channel.states() == ["waiting", "waiting", "succeeded"]


def test_a_hold_is_told_each_time():
    channel = RecordingChannel(on=(State.HELD,))
    with told_world(channel) as w:
        w.service(replicas=2, strategy="staged", bake="60s")
        rollout = w.reaches(w.deploy(w.push("1.1.0")), Phase.STAGING)
        for number in (1, 2):
            w.control.pause(w.deps, rollout.id, "alice")
            w.run(lambda number=number: len(channel.heard) == number)
            w.control.resume(w.deps, rollout.id, "alice")
            w.wait(2)
        assert channel.states() == ["held", "held"]
        assert channel.heard[0].reason == "paused by alice"


def test_nothing_is_asked_for_where_there_is_nobody_to_tell():
    with world() as w:
        w.service()
        w.end(w.deploy(w.push("1.1.0")))
        assert w.deps.store.begin_job(Job(Verb.TELL, w.latest().id), w.clock.now() + 60, 1.0) is None


def test_a_channel_hears_of_the_states_that_it_wants():
    endings, all_of_it = RecordingChannel("endings", on=(State.SUCCEEDED,)), RecordingChannel("all")
    with told_world(endings, all_of_it) as w:
        w.service()
        w.end(w.deploy(w.push("1.1.0")))
        quiet(w)
        assert (endings.states(), all_of_it.states()) == (["succeeded"], ["started", "succeeded"])


def test_a_channel_that_is_away_is_told_later_and_of_the_newest_state_alone_and_keeps_nobody_waiting():
    away, there = RecordingChannel("away"), RecordingChannel("there")
    away.away = True
    with told_world(away, there) as w:
        w.service()
        w.end(w.deploy(w.push("1.1.0")))
        w.wait(60)
        assert there.states() == ["started", "succeeded"]
        assert (away.heard, away.asked > 2) == ([], True)
        away.away = False
        quiet(w)
        assert away.states() == ["succeeded"]
        assert there.states() == ["started", "succeeded"]


def test_a_channel_is_left_alone_for_as_long_as_it_asks():
    channel = RecordingChannel()
    channel.away, channel.delay = True, 300.0
    with told_world(channel) as w:
        w.service()
        w.end(w.deploy(w.push("1.1.0")))
        w.wait(200)
        assert channel.asked == 1
        channel.away = False
        quiet(w)
        assert channel.states() == ["succeeded"]


def test_what_did_not_answer_to_one_rollout_is_not_asked_by_every_other_one():
    channel = RecordingChannel()
    channel.away, channel.delay = True, 60.0
    with told_world(channel) as w:
        for name in ("web", "shop", "api"):
            w.service(name)
        image = w.push("1.1.0")
        for rollout in [w.deploy(image, name) for name in ("web", "shop", "api")]:
            w.end(rollout)
        w.wait(20)
        assert channel.asked == 1
        channel.away = False
        quiet(w)
        assert channel.states() == ["succeeded"] * 3


def test_a_channel_that_stays_away_is_given_up_for_that_state_and_told_the_next():
    channel = RecordingChannel()
    channel.away = True
    with told_world(channel) as w:
        w.service(watch="60s")
        rollout = w.deploy(w.push("1.1.0"))
        w.run(lambda: channel.asked == 1)
        record = w.deps.store.told(rollout.id)[channel.name]
        assert (record.occasion, record.tries) == ("", 1)
        w.deps.store.save_told(replace(record, tries=TRIES - 1))
        w.run(lambda: channel.asked == 2)
        channel.away = False
        w.wait(30)
        assert channel.heard == []
        w.end(rollout)
        quiet(w)
        assert channel.states() == ["succeeded"]


@pytest.mark.parametrize("error", [GiveUp("no"), ValueError("nobody has thought of it")])
def test_a_channel_that_refuses_or_breaks_has_no_effect_on_the_rollout_or_on_the_others(error):
    refusing, there = Refusing(error), RecordingChannel("there")
    with told_world(refusing, there) as w:
        w.service()
        assert w.end(w.deploy(w.push("1.1.0"))).phase is Phase.SUCCEEDED
        w.run(lambda: there.states() == ["started", "succeeded"])
        assert refusing.asked >= 1


def test_one_that_refuses_is_not_asked_again_for_the_same_state():
    refusing = Refusing(GiveUp("no"))
    with told_world(refusing) as w:
        w.service()
        w.end(w.deploy(w.push("1.1.0")))
        quiet(w)
        assert refusing.asked == 2


def test_a_worker_that_dies_between_sending_and_noting_it_tells_it_once_more_and_no_more():
    channel = Deadly()
    with told_world(channel) as w:
        w.service(watch="60s")
        rollout = w.deploy(w.push("1.1.0"))
        with pytest.raises(Killed):
            w.end(rollout)
        w.end(rollout)
        quiet(w)
        assert channel.states() == ["started", "started", "succeeded"]


def test_a_message_that_comes_twice_tells_nothing_twice():
    channel = RecordingChannel()
    with told_world(channel) as w:
        w.service()
        rollout = w.end(w.deploy(w.push("1.1.0")))
        quiet(w)
        w.deps.store.put_jobs([Job(Verb.TELL, rollout.id)], w.clock.now())
        w.perform(Job(Verb.TELL, rollout.id))
        w.perform(Job(Verb.TELL, rollout.id))
        assert channel.states() == ["started", "succeeded"]


def test_what_the_other_side_makes_is_made_once_for_a_rollout():
    channel = RecordingChannel(makes="deployment 7")
    with told_world(channel) as w:
        w.service(watch="60s")
        w.end(w.deploy(w.push("1.1.0")))
        quiet(w)
        assert channel.states() == ["started", "succeeded"]
        assert channel.kept == ["", "deployment 7", "deployment 7"]


def test_a_build_and_the_rollout_of_its_image_are_told_with_the_commit(tmp_path: Path):
    channel = RecordingChannel()
    world = Simulation(tmp_path)
    telling(world, channel)
    stage = SimulatedStage(world)
    world.swarm.push(f"{stage.image}:1.0.0")
    stage.create_service("shop", f"{stage.image}:1.0.0", {})
    stage.git_push("1.1.0", "200")
    world.run(lambda: "succeeded" in channel.states())
    (build,) = world.deps.store.builds()
    assert channel.states(build.id)[-1] == "pushed"
    assert {(t.commit.repository, t.commit.id) for t in channel.heard if t.commit} == {(build.repository, build.commit)}
    assert [t.commit is not None for t in channel.heard] == [True] * len(channel.heard)
    world.deps.store.close()
