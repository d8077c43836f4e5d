"""The decision, one fact a test: what is seen, and what follows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.domain.causes import GOING_BACK
from nodewise.domain.effects import KeepEvidence, WriteSpec
from nodewise.domain.jobs import Verb
from nodewise.domain.release import digest_of, marked
from nodewise.domain.rollout import ACTIVE, TABLE, Cause, IllegalTransition, Kind, Phase, decide, move
from nodewise.domain.steps import GatePlan, Reading, StepState, Verdict
from nodewise.domain.swarm import ServiceView
from tests.unit.swarm_values import CONTAINER, NEW, OLD, before, plan, rollout, seen, spec, task, written

HTTP = GatePlan("http", interval=1.0, successes=2, failures=3)


def passes(*nodes, gate="container"):
    return [Reading(gate, n, Verdict.PASS, "ok", 1.0) for n in nodes]


ALL_NEW = (task(1), task(2), task(3))
ALL_PASS = passes("n1", "n2", "n3")


def test_an_unwritten_rollout_writes_the_target_with_its_mark():
    decision = decide(rollout(), seen(before(), task(1, new=False)), 1.0)
    (effect,) = decision.effects
    assert isinstance(effect, WriteSpec)
    assert effect.version == 10
    assert digest_of(effect.spec) == NEW
    assert effect.spec["Labels"]["nodewise.rollout"] == "r-1"
    assert decision.rollout.phase is Phase.MOVING


def test_a_write_keeps_the_scale_that_someone_set_meanwhile():
    decision = decide(rollout(), seen(ServiceView("s1", "web", 10, spec(OLD, replicas=7))), 1.0)
    assert decision.effects[0].spec["Mode"]["Replicated"]["Replicas"] == 7


def test_success_needs_every_task_every_gate_and_the_end_of_the_update():
    done = seen(written("completed"), *ALL_NEW, readings=ALL_PASS)
    assert decide(rollout(), done, 1.0).rollout.phase is Phase.SUCCEEDED
    for almost in (
        seen(written("updating"), *ALL_NEW, readings=ALL_PASS),
        seen(written("completed"), *ALL_NEW, readings=passes("n1", "n2")),
        seen(written("completed"), task(1), task(2), readings=ALL_PASS),
        seen(written("completed"), task(1), task(2), task(3, state="starting"), readings=ALL_PASS),
        seen(written("completed"), *ALL_NEW, task(1, new=False), readings=ALL_PASS),
        seen(written("completed"), task(1), task(2), task(3, image=f"x@{OLD}"), readings=ALL_PASS),
    ):
        decision = decide(rollout(), almost, 1.0)
        assert decision.rollout.phase is Phase.MOVING
        assert decision.wake_at is not None


def test_an_update_that_moves_nothing_needs_no_status_to_succeed():
    empty = ServiceView("s1", "web", 11, written().spec | {"Mode": {"Replicated": {"Replicas": 0}}})
    assert decide(rollout(steps=()), seen(empty), 1.0).rollout.phase is Phase.SUCCEEDED


def test_a_failed_task_vetoes_enqueues_the_rollback_and_keeps_the_evidence():
    bad = task(1, state="failed", desired="shutdown", error="task: non-zero exit (1)")
    decision = decide(rollout(), seen(written(), bad, task(2, new=False)), 1.0)
    assert decision.rollout.phase is Phase.ROLLING_BACK
    assert [job.verb for job in decision.jobs] == [Verb.ROLLBACK]
    assert "node1" in decision.rollout.reason
    assert "non-zero exit (1)" in decision.rollout.reason
    assert decision.effects[1:] == (KeepEvidence("r-1", "t1new", "task: non-zero exit (1)"),)


def test_the_look_that_finds_the_veto_takes_back_what_it_saw_before_it_asks_for_evidence():
    bad = task(1, state="failed", desired="shutdown")
    back, evidence = decide(rollout(), seen(written(), bad, task(2, new=False)), 1.0).effects
    assert isinstance(back, WriteSpec)
    assert (back.version, digest_of(back.spec)) == (11, OLD)
    assert back.spec["Labels"]["nodewise.rollout"] == "r-1/rollback"
    assert isinstance(evidence, KeepEvidence)


def test_a_veto_before_anything_was_written_writes_nothing():
    decision = decide(rollout(), seen(before(), task(1, new=False)), 61.0)
    assert decision.rollout.phase is Phase.ROLLING_BACK
    assert decision.effects == ()


def test_failed_tasks_below_the_users_ratio_are_tolerated():
    tolerant = {"UpdateConfig": {"MaxFailureRatio": 0.5}}
    service = written()
    service.spec.update(tolerant)
    bad = task(1, state="failed", desired="shutdown")
    look = seen(service, bad, task(1, id="t1again"), task(2), task(3))
    state = rollout(plan=plan(target=spec(NEW) | tolerant))
    assert decide(state, look, 1.0).rollout.phase is Phase.MOVING


def test_a_task_lost_with_its_node_is_no_veto():
    lost = task(1, state="orphaned", desired="shutdown")
    assert decide(rollout(), seen(written(), lost, task(2)), 1.0).rollout.phase is Phase.MOVING


def test_a_gate_that_fails_often_enough_in_a_row_vetoes():
    state = rollout(plan=plan(gates=(CONTAINER, HTTP)))
    for second in (1.0, 2.0, 3.0):
        assert state.phase is Phase.MOVING
        bad = Reading("http", "n1", Verdict.FAIL, "500", second)
        state = decide(state, seen(written(), task(1), readings=[*passes("n1"), bad]), second).rollout
    assert state.phase is Phase.ROLLING_BACK
    assert "gate http failed: 500" in state.reason


def test_an_application_that_does_not_answer_yet_is_waited_for_but_one_that_stops_answering_is_not():
    state = rollout(plan=plan(gates=(CONTAINER, HTTP)))
    silent = Reading("http", "n1", Verdict.FAIL, "no connection", 1.0, reached=False)
    for _ in range(10):
        state = decide(state, seen(written(), task(1), readings=[*passes("n1"), silent]), 1.0).rollout
    assert state.phase is Phase.MOVING
    state = decide(state, seen(written(), task(1), readings=passes("n1", gate="http")), 1.0).rollout
    for _ in range(3):
        state = decide(state, seen(written(), task(1), readings=[*passes("n1"), silent]), 1.0).rollout
    assert state.phase is Phase.ROLLING_BACK


def test_a_passed_node_that_breaks_while_others_move_is_still_a_veto():
    state = rollout(plan=plan(gates=(CONTAINER, HTTP)))
    good = [*passes("n1"), *passes("n1", gate="http")]
    for _ in range(2):
        state = decide(state, seen(written(), task(1), readings=good), 1.0).rollout
    assert state.steps[0].state is StepState.PASSED
    bad = Reading("http", "n1", Verdict.FAIL, "500", 2.0)
    for _ in range(3):
        state = decide(state, seen(written(), task(1), readings=[bad]), 2.0).rollout
    assert state.phase is Phase.ROLLING_BACK


def test_bake_holds_the_node_back():
    state = rollout(plan=plan(bake=5.0))
    done = seen(written("completed"), *ALL_NEW, readings=ALL_PASS)
    state = decide(state, done, 10.0).rollout
    assert {s.state for s in state.steps} == {StepState.BAKING}
    state = decide(state, done, 14.0).rollout
    assert state.phase is Phase.MOVING
    assert decide(state, done, 15.0).rollout.phase is Phase.SUCCEEDED


def test_the_deadline_vetoes_and_names_the_nodes_not_done():
    decision = decide(rollout(), seen(written(), task(1, state="pending"), readings=[]), 61.0)
    assert decision.rollout.phase is Phase.ROLLING_BACK
    assert "deadline of 60 s" in decision.rollout.reason
    assert "node1" in decision.rollout.reason


def test_the_way_back_writes_the_snapshot_once_and_swarm_may_not_turn_it_round():
    state = rollout(Phase.ROLLING_BACK, reason="gate http failed", deadline_at=100.0, evidence="x")
    (effect,) = decide(state, seen(written()), 2.0).effects
    assert digest_of(effect.spec) == OLD
    assert effect.spec["UpdateConfig"]["FailureAction"] == "continue"
    restored = written(digest=OLD, mark="r-1/rollback")
    old_image = f"reg:5000/web:1@{OLD}"
    tasks = [task(i, image=old_image) for i in (1, 2, 3)]
    assert decide(state, seen(restored, *tasks[:2]), 3.0).effects == ()
    end = decide(state, seen(restored, *tasks), 3.0).rollout
    assert end.phase is Phase.ROLLED_BACK
    assert end.reason == "gate http failed"


def test_a_rollback_is_never_rolled_back():
    state = rollout(kind=Kind.ROLLBACK)
    bad = task(1, state="failed", desired="shutdown")
    assert decide(state, seen(written(), bad), 1.0).rollout.phase is Phase.MOVING
    assert decide(state, seen(written("paused"), bad), 1.0).rollout.phase is Phase.MOVING
    assert decide(state, seen(written(), bad), 61.0).rollout.phase is Phase.FAILED


def test_a_rollback_that_swarm_was_told_to_undo_and_could_not_has_failed():
    stuck = ServiceView("s1", "web", 12, spec(OLD), "rollback_paused", "a task failed")
    state = rollout(Phase.SWARM_ROLLING_BACK, Kind.ROLLBACK, written_at=1.0)
    end = decide(state, seen(stuck), 2.0).rollout
    assert end.phase is Phase.FAILED
    assert "a task failed" in end.reason


def test_a_rollback_that_swarm_paused_is_carried_out_by_writing_the_snapshot():
    paused = ServiceView("s1", "web", 12, spec(OLD), "rollback_paused", "a task failed")
    turned = decide(rollout(Phase.SWARM_ROLLING_BACK, written_at=1.0), seen(paused), 2.0).rollout
    assert turned.phase is Phase.ROLLING_BACK
    decision = decide(turned, seen(paused), 2.0)
    assert decision.rollout.phase is Phase.ROLLING_BACK
    (write,) = decision.effects
    assert write.spec["Labels"]["nodewise.rollout"] == "r-1/rollback"


def test_success_is_not_claimed_when_swarm_rolled_back_by_itself():
    state = rollout(written_at=1.0)
    bad = task(1, state="failed", desired="shutdown", error="exit 1")
    back = ServiceView("s1", "web", 12, spec(OLD), "rollback_started", "update rolled back due to failure")
    turned = decide(state, seen(back, bad), 2.0).rollout
    assert turned.phase is Phase.SWARM_ROLLING_BACK
    assert "Swarm rolled back by itself" in turned.reason
    done = replace(back, update_state="rollback_completed")
    old = [task(i, image=f"reg:5000/web:1@{OLD}") for i in (1, 2, 3)]
    assert decide(turned, seen(done, *old), 3.0).rollout.phase is Phase.ROLLED_BACK_BY_SWARM


def test_someone_elses_change_is_not_fought():
    other = ServiceView("s1", "web", 12, spec("sha256:" + "c" * 64))
    for phase in ACTIVE:
        decision = decide(rollout(phase), seen(other), 1.0)
        assert decision.rollout.phase is Phase.CHANGED
        assert not any(isinstance(e, WriteSpec) for e in decision.effects)


def test_a_removed_service_ends_the_rollout():
    assert decide(rollout(), seen(None), 1.0).rollout.phase is Phase.CHANGED


def test_a_late_write_of_the_rollout_that_was_taken_over_is_written_over():
    state = rollout(id="r-2", kind=Kind.ROLLBACK, plan=plan(target=spec(OLD), replaces="r-1"))
    (effect,) = decide(state, seen(written()), 1.0).effects
    assert isinstance(effect, WriteSpec)


@pytest.mark.parametrize(("phase", "cause"), sorted(TABLE), ids=lambda v: v.value)
def test_every_line_of_the_table_can_be_followed(phase, cause):
    assert move(rollout(phase), cause, 1.0).phase is TABLE[phase, cause]


@given(st.sampled_from(Phase), st.sampled_from(Cause))
def test_what_is_not_in_the_table_is_an_error_that_names_phase_and_cause(phase, cause):
    if (phase, cause) not in TABLE and (phase, cause) != (Phase.CLEARING, Cause.CLEARED):
        with pytest.raises(IllegalTransition, match=phase.value):
            move(rollout(phase), cause, 1.0)


states = st.sampled_from(["new", "pending", "starting", "running", "failed", "rejected", "shutdown", "orphaned"])
tasks = st.lists(
    st.builds(
        task,
        st.integers(1, 3),
        new=st.booleans(),
        state=states,
        desired=st.sampled_from(["running", "shutdown"]),
        id=st.text("abcdef", min_size=4, max_size=4),
    ),
    max_size=8,
)
services = st.sampled_from(
    [None, before(), written(), written("completed"), written("paused"), written(digest=OLD, mark="r-1/rollback")]
    + [ServiceView("s1", "web", 12, spec(OLD), s) for s in ("rollback_started", "rollback_paused")]
    + [ServiceView("s1", "web", 12, spec("sha256:" + "c" * 64))]
)
readings = st.lists(
    st.builds(
        Reading,
        st.sampled_from(["container", "http"]),
        st.sampled_from(["n1", "n2", "n3"]),
        st.sampled_from(Verdict),
        st.just("detail"),
        st.floats(0, 100),
    ),
    max_size=6,
)
looks = st.builds(lambda s, t, r: seen(s, *t, readings=r), services, tasks, readings)


def assert_nothing_new(state, look, now):
    """The same look again and again: once the phase stands, so do the effects, and nothing is asked for anew."""
    for _ in Phase:
        decision = decide(state, look, now)
        if decision.rollout.phase is state.phase:
            break
        state = decision.rollout
    again = decide(decision.rollout, look, now)
    assert again.rollout.phase is state.phase
    assert again.effects == decision.effects
    assert again.jobs == ()


@given(st.lists(looks, max_size=12), st.sampled_from(sorted(ACTIVE)), st.sampled_from(Kind))
def test_whatever_is_seen_every_state_ends_or_has_a_wake_time_and_the_end_stays(look_list, phase, kind):
    state = rollout(phase, kind, plan=plan(gates=(CONTAINER, HTTP)), written_at=0.5)
    if kind is Kind.ROLLBACK and phase is not Phase.MOVING:
        return  # a rollback of that kind is never on its way back
    for second, look in enumerate(look_list):
        decision = decide(state, look, float(second))
        if state.phase.terminal:
            assert decision.rollout == state
            assert decision.effects == decision.jobs == ()
        assert decision.rollout.phase.terminal == (decision.wake_at is None)
        assert decision.rollout.phase.terminal == (decision.rollout.ended_at is not None)
        assert_nothing_new(decision.rollout, replace(look, readings=()), float(second))
        if kind is Kind.ROLLBACK:
            assert decision.rollout.phase in (
                Phase.MOVING,
                Phase.SUCCEEDED,
                Phase.FAILED,
                Phase.CHANGED,
                Phase.SWARM_ROLLING_BACK,
                Phase.ROLLED_BACK_BY_SWARM,
            )
        state = decision.rollout


@given(looks, st.sampled_from([Phase.MOVING, Phase.ROLLING_BACK]))
def test_after_the_deadline_no_rollout_goes_on_as_before(look, phase):
    after = decide(rollout(phase, plan=plan(gates=(CONTAINER,)), written_at=0.5), look, 61.0).rollout
    passes_just_now = after.deadline_at == 61.0 + 60.0
    assert passes_just_now or after.phase is not phase


def test_a_deadline_that_has_passed_while_it_waits_wakes_nobody():
    idle = rollout(Phase.STAGING, plan=plan(staged=True), held="paused by alice", idle_since=10.0, deadline_at=60.0)
    look = seen(before(), *(task(n, new=False, up_to_date=True) for n in (1, 2, 3)))
    assert decide(idle, look, 50.0, poll=5.0).wake_at == 55.0
    assert decide(idle, look, 58.0, poll=5.0).wake_at == 60.0
    assert decide(idle, look, 100.0, poll=5.0).wake_at == 105.0


def test_a_task_that_failed_before_the_write_does_not_speak_against_it():
    earlier = task(1, state="failed", desired="shutdown", id="earlier")
    looked = seen(written(), earlier, task(1, state="starting"), task(2, new=False))
    again = rollout(plan=plan(failed_before=("earlier",)))
    assert decide(again, looked, 1.0).rollout.phase is Phase.MOVING
    assert decide(rollout(), looked, 1.0).rollout.phase is Phase.ROLLING_BACK


def test_a_node_that_still_waits_for_its_new_task_has_not_converged():
    service = ServiceView("s1", "web", 11, written(digest=OLD, mark="r-1/rollback").spec | {"Mode": {"Global": {}}})
    waiting = task(3, desired="ready", state="ready", image=f"x@{OLD}")
    back = rollout(Phase.ROLLING_BACK)
    there = [task(n, image=f"x@{OLD}") for n in (1, 2)]
    assert decide(back, seen(service, *there, waiting), 1.0).rollout.phase is Phase.ROLLING_BACK
    assert decide(back, seen(service, *there), 1.0).rollout.phase is Phase.ROLLED_BACK


def test_what_the_engine_calls_no_such_image_is_told_with_everything_that_it_may_be():
    missing = task(1, state="rejected", desired="shutdown", error="No such image: reg:5000/web:1")
    decision = decide(rollout(), seen(written(), missing, task(2, new=False), task(3, new=False)), 1.0)
    assert decision.rollout.phase is Phase.ROLLING_BACK
    assert "node1 rejected: No such image" in decision.rollout.reason
    assert "full disk" in decision.rollout.reason


def test_a_rollback_that_does_not_finish_tells_which_nodes_are_not_back():
    going = rollout(Phase.ROLLING_BACK, reason="node1 failed", deadline_at=60.0)
    old = {"new": False, "up_to_date": True}
    look = seen(written(mark="r-1/rollback", digest=OLD), task(1, up_to_date=False), task(2, **old, state="starting"))
    ended = decide(going, replace(look, tasks=(*look.tasks, task(3, **old))), 61.0).rollout
    assert ended.phase is Phase.FAILED
    assert ended.reason.startswith("node1 failed; and the rollback did not finish in 60 s; not back yet: ")
    assert ended.reason.endswith("not back yet: node1 (web:1 running), node2 (web:1 starting)")


def test_on_the_way_back_the_deadline_is_for_one_more_task_that_is_back_and_never_for_one_that_flaps():
    service = written(mark="r-1/rollback", digest=OLD)
    old = {"new": False, "up_to_date": True}

    def look(going, now, *states):
        return decide(going, seen(service, *(task(n, **old, state=s) for n, s in enumerate(states, 1))), now).rollout

    going = look(rollout(Phase.ROLLING_BACK, deadline_at=60.0), 1.0, "running", "starting", "starting")
    assert (going.remaining, going.deadline_at) == (2, 60.0)
    going = look(going, 50.0, "running", "running", "starting")
    assert (going.remaining, going.deadline_at) == (1, 110.0)
    for now, second in ((60.0, "starting"), (70.0, "running"), (80.0, "starting"), (90.0, "running")):
        going = look(going, now, "running", second, "starting")
    assert (going.remaining, going.deadline_at) == (1, 110.0)
    assert look(going, 111.0, "running", "running", "starting").phase is Phase.FAILED


def test_a_paused_node_that_keeps_the_release_that_was_taken_back_is_told():
    going = rollout(Phase.ROLLING_BACK, reason="node2 failed")
    everywhere = {**spec(OLD), "Mode": {"Global": {}}}
    going = replace(going, plan=plan(base=everywhere))
    service = replace(written("completed"), spec=marked(everywhere, "r-1/rollback", GOING_BACK))
    back = [task(n, new=False, up_to_date=True) for n in (2, 3)]
    look = seen(service, task(1, up_to_date=False), *back)
    nodes = {**look.nodes, "n1": replace(look.nodes["n1"], availability="pause")}
    ended = decide(going, replace(look, nodes=nodes), 1.0).rollout
    assert ended.phase is Phase.ROLLED_BACK
    assert ended.reason == "node2 failed; paused, and left with the release that was taken back: node1"


def test_a_node_whose_new_task_waits_for_the_old_one_to_stop_is_moving_and_named_when_the_deadline_passes():
    waits = task(1, state="preparing", desired="ready")
    look = seen(written(), waits, task(1, new=False, desired="shutdown"), task(2), task(3), readings=ALL_PASS)
    moving = decide(rollout(), look, 1.0).rollout
    assert moving.steps[0].state is StepState.MOVING
    late = decide(replace(moving, deadline_at=2.0), look, 3.0).rollout
    assert late.phase is Phase.ROLLING_BACK
    assert "not done: node1 (task preparing)" in late.reason
