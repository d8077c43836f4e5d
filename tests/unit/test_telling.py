"""What a person is told: states that mean something, in sentences, and templates filled in."""

from __future__ import annotations

from nodewise.domain.build import Build, BuildState
from nodewise.domain.model import Approval
from nodewise.domain.rollout import Kind, Phase
from nodewise.domain.telling import brings, occasion, of_build, of_rollout, state_of
from nodewise.domain.told import State
from tests.unit.swarm_values import NEW, plan, rollout

STATES = {
    State.PENDING: (Phase.PENDING, Phase.QUEUED, Phase.WAITING),
    State.STARTED: (Phase.PREPARING, Phase.STAGING, Phase.MOVING, Phase.FINISHING, Phase.WATCHING),
    State.TAKING_BACK: (Phase.ROLLING_BACK, Phase.SWARM_ROLLING_BACK, Phase.CLEARING),
    State.SUCCEEDED: (Phase.SUCCEEDED,),
    State.ROLLED_BACK: (Phase.ROLLED_BACK, Phase.ROLLED_BACK_BY_SWARM),
    State.FAILED: (Phase.FAILED, Phase.FROZEN),
    State.CHANGED: (Phase.CHANGED,),
    State.SUPERSEDED: (Phase.SUPERSEDED,),
    State.ABORTED: (Phase.ABORTED,),
}


def test_every_phase_means_one_thing_to_a_person():
    assert sorted(p for phases in STATES.values() for p in phases) == sorted(Phase)
    for state, phases in STATES.items():
        assert {state_of(rollout(phase)) for phase in phases} == {state}


def test_what_clears_up_after_it_has_gone_well_is_on_its_way_still():
    assert state_of(rollout(Phase.CLEARING, ends_as=Phase.SUCCEEDED)) is State.STARTED


def test_an_open_question_and_a_hold_are_states_of_their_own_until_the_end():
    asks = plan(approval=Approval.ONCE)
    assert occasion(rollout(Phase.PREPARING, plan=asks)) == "waiting: write"
    assert occasion(rollout(Phase.STAGING, held="paused by alice")) == "held"
    assert occasion(rollout(Phase.ABORTED, held="paused by alice", plan=asks)) == "aborted"


def test_a_rollout_is_told_in_one_paragraph_with_what_who_and_why():
    told = of_rollout(rollout(Phase.ROLLED_BACK, reason="node n1:\n404.", from_number=3, to_number=4))
    assert told.title == "web: rollout rolled back"
    where = "to reg:5000/web:1 (release 3 to 4), asked for by test"
    assert told.text == f"The rollout r-1 of web {where}: rolled back; node n1: 404."
    assert (told.reason, told.who, told.image) == ("node n1: 404.", "test", "reg:5000/web:1")


def test_a_rollback_without_a_plan_names_the_release_that_was_asked_for():
    told = of_rollout(rollout(Phase.PENDING, Kind.ROLLBACK, plan=None, requested=2))
    assert told.text == "The rollback r-1 of web (to release 2), asked for by test: asked for."


def test_what_a_rollout_brings_is_what_its_plan_says_and_before_it_what_was_asked_for():
    assert brings(rollout()) == ("reg:5000/web:1", NEW)
    assert brings(rollout(plan=None, image="reg:5000/web:2")) == ("reg:5000/web:2", "")


def test_a_build_is_told_without_the_login_in_its_errors():
    error = "git cannot get https://me:hunter2@git.test/shop.git"
    build = Build("b-1", "shop", "x", "refs/tags/v1", "c" * 40, "r/shop:1", BuildState.FAILED, 0.0, error=error)
    told = of_build(build)
    assert (told.state, told.service, told.of_build) == (State.BUILD_FAILED, "shop", True)
    assert "hunter2" not in told.text + told.reason
    assert told.text.startswith("r/shop:1 from cccccccccccc of refs/tags/v1 (b-1): not built; git cannot get")
