"""staged: candidates walk the nodes in order, held at each step; the running service is not touched before the end."""

from __future__ import annotations

from typing import Any

import pytest

from nodewise import control
from nodewise.domain.errors import Conflict
from nodewise.domain.rollout import Phase, Rollout
from nodewise.domain.steps import StepState
from tests.world import World, world

FIVE = {"replicas": None, "strategy": "staged"}
ASKS = {**FIVE, "gate__approval": "true", "gate__approval__deadline": "5m"}


def candidate_nodes(w: World) -> list[str]:
    """The nodes on which a candidate runs, in the order of their names."""
    ids = [h.id for h in w.helpers() if h.helper.startswith("candidate.")]
    names = {n.id: n.name for n in w.swarm.nodes()}
    return sorted(names[t.node_id] for t in w.swarm.tasks(ids) if t.running)


def walked_to(w: World, candidates: int, **app: Any) -> Rollout:
    """A rollout with so many candidates."""
    rollout = w.deploy(w.push("1.1.0", **app))
    w.run(lambda: len(candidate_nodes(w)) == candidates)
    return rollout


def test_candidates_walk_the_nodes_one_by_one_and_then_the_service_is_promoted():
    with world() as w:
        service = w.service(**FIVE, bake="5s")
        before = w.task_ids()
        rollout = w.deploy(w.push("1.1.0"))
        walked = []
        while w.get(rollout).phase in (Phase.PENDING, Phase.STAGING):
            w.step()
            here = candidate_nodes(w)
            if w.get(rollout).phase is Phase.STAGING:
                assert w.task_ids() == before, "the running service is untouched"
                assert w.swarm.service("web").version == service.version
                if here and here not in walked:
                    walked.append(here)
        names = [f"node{n}" for n in range(1, 6)]
        assert walked == [names[:n] for n in range(1, 6)]
        ended = w.end(rollout)
        assert ended.phase is Phase.SUCCEEDED, ended.reason
        assert w.running() == ["1.1.0"] * 5
        assert w.helpers() == []
        assert w.swarm.service("web").previous_spec["TaskTemplate"] == service.spec["TaskTemplate"]


@pytest.mark.parametrize(
    ("steps", "stages"),
    [
        ("each", [["node1"], ["node2"], ["node3"], ["node4"], ["node5"]]),
        ("1,50%,100%", [["node1"], ["node2", "node3"], ["node4", "node5"]]),
        ("node4,node2", [["node4"], ["node2"]]),
        ("node5,60%", [["node5"], ["node1", "node2"]]),
        ("2", [["node1", "node2"]]),
    ],
)
def test_steps_are_each_counts_percentages_and_names(steps, stages):
    with world() as w:
        w.service(**FIVE, steps=steps)
        rollout = w.reaches(w.deploy(w.push("1.1.0")), Phase.STAGING)
        found = [[s.node for s in rollout.steps if s.stage == n] for n in range(len(stages))]
        assert found == stages
        assert w.end(rollout).phase is Phase.SUCCEEDED
        assert w.running() == ["1.1.0"] * 5


def test_a_step_that_names_a_node_without_the_service_is_refused_and_touches_nothing():
    with world() as w:
        service = w.service(**FIVE, steps="node1,nodee2")
        ended = w.end(w.deploy(w.push("1.1.0")))
        assert ended.phase is Phase.FAILED
        assert "nodee2" in ended.reason
        assert "did you mean 'node2'" in ended.reason
        assert w.swarm.service("web").version == service.version


@pytest.mark.parametrize("how", ["a task that ends", "a gate that fails", "a person"])
def test_failing_or_aborting_before_the_promotion_leaves_the_running_tasks_untouched(how):
    with world() as w:
        w.service(**FIVE, gate__http__url="http://{task}:8080/health")
        before, version = w.task_ids(), w.swarm.service("web").version
        bad = {"a task that ends": {"exits_after": 2.0, "exit_code": 3}, "a gate that fails": {"http": lambda *_: 500}}
        rollout = w.deploy(w.push("1.1.0", **bad.get(how, {})))
        if how == "a person":
            w.run(lambda: len(candidate_nodes(w)) == 2)
            control.abort(w.deps, rollout.id, "alice")
        ended = w.end(rollout)
        assert ended.phase is (Phase.ABORTED if how == "a person" else Phase.ROLLED_BACK), ended.reason
        assert w.task_ids() == before
        assert w.swarm.service("web").version == version
        assert w.helpers() == []
        assert {"a task that ends": "exit (3)", "a gate that fails": "500", "a person": "alice"}[how] in ended.reason


def test_pause_holds_the_next_step_and_resume_goes_on_and_the_deadline_stands_still():
    with world() as w:
        w.service(**FIVE, deadline="60s")
        rollout = walked_to(w, 2)
        control.pause(w.deps, rollout.id, "alice")
        w.wait(600)
        held = w.get(rollout)
        assert (held.phase, held.held) == (Phase.STAGING, "paused by alice")
        assert len(candidate_nodes(w)) == 2
        control.resume(w.deps, rollout.id, "alice")
        assert w.end(rollout).phase is Phase.SUCCEEDED


def test_a_breach_while_it_is_paused_still_turns_it_round():
    with world() as w:
        w.service(**FIVE)
        rollout = walked_to(w, 2, exits_after=30.0, exit_code=1)
        control.pause(w.deps, rollout.id, "alice")
        assert w.end(rollout).phase is Phase.ROLLED_BACK
        assert w.running() == ["1.0.0"] * 5


def test_on_failure_pause_holds_it_where_it_is_and_a_person_may_go_on():
    with world() as w:
        answers = {"status": 500}
        w.service(**FIVE, on_failure="pause", gate__http__url="http://{task}:8080/health")
        rollout = w.deploy(w.push("1.1.0", http=lambda *_: answers["status"]))
        held = w.run(lambda: found if (found := w.get(rollout)).held else None)
        assert "gate http failed" in held.held
        assert "on_failure: pause" in held.held
        assert w.running() == ["1.0.0"] * 5
        w.wait(100)
        assert len(candidate_nodes(w)) == 1
        answers["status"] = 200
        control.resume(w.deps, rollout.id, "alice")
        assert w.end(rollout).phase is Phase.SUCCEEDED


def test_who_resumes_what_its_deadline_has_held_gives_it_that_time_once_more():
    with world() as w:
        w.service(**FIVE, on_failure="pause", deadline="60s")
        rollout = w.deploy(w.push("1.1.0", start=200.0, healthcheck=True))
        held = w.run(lambda: found if (found := w.get(rollout)).held else None)
        assert "the deadline of 60 s has passed" in held.held
        w.wait(100)
        control.resume(w.deps, rollout.id, "alice")
        w.wait(50)
        assert w.get(rollout).held == "", "it is in time again"
        assert len(candidate_nodes(w)) == 1
        assert "the deadline" in w.run(lambda: w.get(rollout).held)


def test_an_approval_has_its_whole_time_after_a_pause():
    with world() as w:
        w.service(**ASKS)
        rollout = walked_to(w, 5)
        w.wait(60)
        control.pause(w.deps, rollout.id, "alice")
        w.wait(600)
        control.resume(w.deps, rollout.id, "alice")
        w.wait(200)
        assert w.get(rollout).phase is Phase.STAGING
        control.approve(w.deps, rollout.id, "bob")
        assert w.end(rollout).phase is Phase.SUCCEEDED


def test_an_approval_after_each_step_and_before_the_promotion_is_waited_for():
    with world() as w:
        w.service(**FIVE, steps="1,100%", gate__approval="each")
        rollout = walked_to(w, 1)
        w.wait(700)
        assert len(candidate_nodes(w)) == 1, "longer than the deadline, and still waiting"
        with pytest.raises(Conflict, match="not sha256:0"):
            control.approve(w.deps, rollout.id, "bob", "sha256:0")
        control.approve(w.deps, rollout.id, "bob")
        w.run(lambda: len(candidate_nodes(w)) == 5)
        w.wait(100)
        assert w.running() == ["1.0.0"] * 5
        control.approve(w.deps, rollout.id, "bob")
        ended = w.end(rollout)
        assert ended.phase is Phase.SUCCEEDED
        assert [(a.what, a.who) for a in ended.approvals] == [("stage 1", "bob"), ("write", "bob")]


def test_an_approval_that_nobody_gives_calls_the_rollout_off():
    with world() as w:
        w.service(**ASKS)
        ended = w.end(w.deploy(w.push("1.1.0")))
        assert ended.phase is Phase.ABORTED
        assert "nobody approved" in ended.reason
        assert w.running() == ["1.0.0"] * 5
        assert w.helpers() == []


def test_a_veto_after_the_promotion_brings_the_snapshot_back():
    with world() as w:
        late = lambda _path, seconds: 500 if seconds > 1 and w.get(w.latest()).phase is Phase.MOVING else 200  # noqa: E731
        w.service(**FIVE, steps="1", gate__http__url="http://{task}:8080/health")
        ended = w.end(w.deploy(w.push("1.1.0", http=late)))
        assert ended.phase is Phase.ROLLED_BACK
        assert w.running() == ["1.0.0"] * 5
        assert w.helpers() == []


def test_several_replicas_on_a_node_are_as_many_candidates_there():
    with world(nodes=2) as w:
        w.service(replicas=5, strategy="staged")
        rollout = w.deploy(w.push("1.1.0"))
        w.reaches(rollout, Phase.MOVING)
        sizes = sorted(h.replicas for h in w.helpers())
        assert sum(sizes) == 5
        assert w.end(rollout).phase is Phase.SUCCEEDED


@pytest.mark.parametrize("what", ["drain", "pause", "node_down", "leave"])
def test_a_node_that_takes_no_tasks_any_more_is_skipped(what):
    with world() as w:
        w.service(**FIVE, bake="2s")
        rollout = walked_to(w, 1)
        getattr(w.swarm, what)("node3")
        ended = w.end(rollout)
        assert ended.phase is Phase.SUCCEEDED, ended.reason
        old = ["1.0.0"] if what in ("pause", "node_down") else []
        assert set(w.running()) <= {"1.1.0", *old}
        assert w.helpers() == []


def test_a_node_that_joins_in_the_middle_gets_the_new_release_with_the_promotion():
    with world() as w:
        w.service(**FIVE)
        rollout = walked_to(w, 1)
        w.swarm.join("node9")
        ended = w.end(rollout)
        assert ended.phase is Phase.SUCCEEDED
        assert w.running() == ["1.1.0"] * 6
        assert {s.node for s in ended.steps if s.state is StepState.PASSED} >= {"node9"}


def test_a_newer_one_waits_for_the_end_of_a_promotion_and_its_failure_leaves_one_release_everywhere():
    with world() as w:
        w.service(**FIVE, steps="1", update={"Delay": 3_000_000_000})
        first = w.deploy(w.push("1.1.0"))
        w.run(lambda: 0 < w.running().count("1.1.0") < 5)
        second = w.deploy(w.push("1.2.0", exits_after=1.0, exit_code=1))
        assert w.end(second).phase is Phase.ROLLED_BACK
        assert w.end(first).phase is Phase.SUCCEEDED
        assert w.running() == ["1.1.0"] * 5


def test_a_newer_deploy_takes_the_candidates_place():
    with world() as w:
        w.service(**FIVE, bake="5s")
        first = walked_to(w, 2)
        second = w.deploy(w.push("1.2.0"))
        assert w.end(first).phase is Phase.SUPERSEDED
        assert w.end(second).phase is Phase.SUCCEEDED
        assert w.running() == ["1.2.0"] * 5
        assert w.helpers() == []
