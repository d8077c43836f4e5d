"""What the command line shows of a rollout that does not just move: held, asked for, staged, prepared, ended early."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodewise.answers.rollouts import app_of
from nodewise.answers.rollouts import rollout as answer
from nodewise.cli import asks, lines
from nodewise.cli.tables import lock_lines, rollout_table, status_table
from nodewise.cli.view import ending, steps_table
from nodewise.cli.words import CHORE_STYLES, PHASE_STYLES, STATE_STYLES, SYMBOLS
from nodewise.domain.model import Approval, Approved, Chore, ChoreRun, Kind, Phase
from nodewise.domain.release import digest_of
from nodewise.domain.steps import GatePlan, Step, StepState, Streak
from tests.unit.swarm_values import NEW, plan, rollout
from tests.unit.test_cli_view import drawn

HTTP = GatePlan("http", 1.0, 3, 2, {"url": "http://{task}/"})
STAGED = (
    Step("n1", "node1", StepState.PASSED, 4.0, stage=0),
    Step("n2", "node2", StepState.GATING, 6.0, ("t",), (Streak("http", 1, 0, 8.0, "200"),), "gate http: 200", stage=1),
    Step("n3", "node3", stage=1),
)


def staging(**changes):
    planned = plan(strategy="staged", staged=True, candidate_gates=(HTTP,), approval=Approval.EACH)
    return rollout(**{"phase": Phase.STAGING, "plan": planned, "steps": STAGED, **changes})


def preparing(*runs: ChoreRun, **changes):
    chores = tuple(Chore(r.name) for r in runs)
    return rollout(**{"phase": Phase.PREPARING, "plan": plan(chores=chores), "chores": runs, **changes})


def told(before, after) -> list[str]:
    return list(lines.changes(None if before is None else shape(before), shape(after)))


def shape(value, app=None):
    return answer(value, app).model_dump(mode="json")


def test_every_phase_state_and_symbol_has_its_looks() -> None:
    assert set(PHASE_STYLES) == {p.value for p in Phase}
    assert set(STATE_STYLES) == {s.value for s in StepState}
    assert set(SYMBOLS) == {*STATE_STYLES, *CHORE_STYLES}


@pytest.mark.parametrize("phase", [p for p in Phase if p.terminal])
def test_everyending_is_told_in_words(phase: Phase) -> None:
    words = ending(shape(rollout(phase=phase, ended_at=9.0)))
    assert words
    assert "_" not in words


def test_the_stages_are_told_with_the_nodes_and_the_gates_of_the_candidates() -> None:
    text = drawn(staging())
    assert "staging  10 s  1 of 3 nodes  stage 2 of 2  r-1" in text
    rows = [" ".join(line.split()) for line in text.splitlines() if "node" in line and "nodes" not in line]
    assert rows == [
        "stage 1 ✓ node1 passed after 4.0 s",
        "stage 2 ? node2 gating 4.0 s gate http: 200 http 1/3",
        "· node3 waiting",
    ]


def test_without_stages_there_is_no_word_of_them() -> None:
    assert len(steps_table(shape(rollout()), 10.0).columns) == 5


def test_what_holds_it_is_told_with_the_command_to_go_on() -> None:
    text = drawn(staging(held="node node2: gate http failed (on_failure: pause)"))
    assert "held: node node2: gate http failed (on_failure: pause); go on with: nodewise resume r-1" in text


def test_what_waits_for_approval_is_told_with_the_command_to_give_it() -> None:
    after_first = (STAGED[0], replace(STAGED[1], state=StepState.WAITING), STAGED[2])
    text = drawn(staging(steps=after_first, idle_since=5.0))
    assert "waits for an approval after stage 1: nodewise approve r-1" in text
    assert "it is called off in 23 h 59 min if nobody approves" in text
    over = tuple(replace(s, state=StepState.PASSED) for s in STAGED)
    approved = Approved("stage 2", "api:ann", 1.0, digest_of(plan().target))
    text = drawn(staging(steps=over, approvals=(approved,)))
    assert "waits for an approval before the new release takes over: nodewise approve r-1" in text


def test_an_approval_of_another_digest_is_none() -> None:
    over = tuple(replace(s, state=StepState.PASSED) for s in STAGED)
    state = staging(steps=over, approvals=(Approved("write", "api:ann", 1.0, "sha256:" + "c" * 64),))
    assert shape(state)["waits_for"] == "write"


def test_chores_are_lines_before_the_nodes() -> None:
    value = preparing(
        ChoreRun("disk", made=True, done=True, detail="done on 3 nodes"),
        ChoreRun("prepull", attempts=2, made=True, detail="waits for node2"),
        ChoreRun("before"),
    )
    text = drawn(value)
    rows = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    at = rows.index("✓ disk done done on 3 nodes")
    assert rows[at + 1 : at + 4] == [
        "↻ prepull doing waits for node2 try 2",
        "· hook.before waiting",
        "· node1 waiting",
    ]


def test_a_chore_that_failed_ends_with_what_it_printed() -> None:
    run = ChoreRun("before", made=True, failed=True, detail="exit 1", log="migrating\nno such table")
    text = drawn(preparing(run, phase=Phase.FAILED, reason="nodewise.hook.before failed: exit 1", ended_at=9.0))
    assert "✗  hook.before  failed  exit 1" in text
    assert text.rstrip().endswith("no such table")


def test_an_end_before_the_write_says_that_nothing_was_touched() -> None:
    assert "aborted: the service was not touched in 9.0 s" in drawn(staging(phase=Phase.ABORTED, ended_at=9.0))
    moved = rollout(phase=Phase.ABORTED, written_at=2.0, ended_at=9.0)
    assert "aborted: the release from before runs again" in drawn(moved)


def test_a_frozen_rollout_says_how_to_go_on() -> None:
    text = drawn(rollout(phase=Phase.FROZEN, written_at=2.0, ended_at=9.0, reason="gate http failed"))
    assert "frozen: a gate or a task failed, and everything was left as it is" in text
    assert "nodewise unlock web" in text


def test_watching_and_clearing_say_what_comes_next() -> None:
    watched = rollout(phase=Phase.WATCHING, watch_until=40.0, written_at=2.0)
    assert "its gates are watched for 30 s more" in drawn(watched)
    clearing = staging(phase=Phase.CLEARING, ends_as=Phase.ROLLED_BACK, reason="bad")
    assert "removes the services that it has made; then it is rolled back" in drawn(clearing)


def test_an_abort_that_was_asked_for_is_told_until_it_has_come() -> None:
    assert "its end was asked for by api:ann" in drawn(rollout(abort="api:ann"))
    assert "asked for" not in drawn(rollout(abort="api:ann", phase=Phase.ABORTED, ended_at=9.0))


def test_a_rollout_of_an_app_names_the_app_and_the_others_briefly() -> None:
    labelled = plan()
    labelled.target["Labels"]["nodewise.app"] = "shop"
    own = rollout(app_rollout="g-1", stage=1, plan=labelled)
    others = [
        replace(own, id="r-2", service="worker", phase=Phase.SUCCEEDED, stage=0),
        replace(own, id="r-3", service="cron", phase=Phase.WAITING, plan=None, held="paused by ann"),
        replace(own, id="r-4", service="worker", kind=Kind.ROLLBACK, phase=Phase.ROLLING_BACK),
    ]
    app = app_of(own, [own, *others], {})
    assert asks.app(shape(own, app)) == (
        "app shop, stage 2: worker succeeded, cron waiting (held), worker back rolling back"
    )
    assert asks.app(shape(own, app_of(own, [replace(own, plan=None)], {}))) == (
        "app rollout g-1, stage 2: no other service"
    )
    assert asks.app(shape(own)) == ""
    assert app_of(own, [rollout()], {"app": "by-default"}).name == "by-default"


def test_a_member_that_waits_says_for_what() -> None:
    waiting = rollout(phase=Phase.WAITING, plan=None, steps=(), app_rollout="g-1", image="reg/web:2")
    assert "waits for its turn in the app" in drawn(waiting)


def test_line_by_line_holding_asking_and_approving_are_told_once() -> None:
    after_first = (STAGED[0], replace(STAGED[1], state=StepState.WAITING), STAGED[2])
    asking = staging(steps=after_first)
    assert told(None, asking)[1:] == [
        "web staging",
        "waits for an approval after stage 1: nodewise approve r-1",
        "node1 (stage 1) passed",
        "node2 (stage 2) waiting gate http: 200",
        "node3 (stage 2) waiting",
    ]
    assert told(asking, asking) == []
    said = replace(asking, approvals=(Approved("stage 1", "api:ann", 1.0, NEW),))
    assert told(asking, said) == ["stage 1 was approved by api:ann"]
    held = replace(said, held="paused by api:ann")
    assert told(said, held) == ["held: paused by api:ann; go on with: nodewise resume r-1"]
    assert told(held, said) == ["not held any more"]
    assert told(said, replace(said, abort="api:bob")) == ["its end was asked for by api:bob"]


def test_line_by_line_chores_are_told_as_they_go_on() -> None:
    begun = preparing(ChoreRun("prepull", made=True, detail="waits for node2"))
    assert "prepull doing waits for node2" in told(None, begun)
    again = replace(begun, chores=(ChoreRun("prepull", attempts=2, detail="node2 cannot pull"),))
    assert told(begun, again) == ["prepull doing node2 cannot pull"]
    done = replace(begun, chores=(ChoreRun("prepull", made=True, done=True, attempts=2, detail="done on 3 nodes"),))
    assert told(again, done) == ["prepull done done on 3 nodes"]


def service_row(**changes):
    row = {
        "name": "web",
        "image": "reg/web:1",
        "replicas": {"running": 3, "wanted": 3},
        "release": 1,
        "problems": [],
        "track": "same",
        "locks": [],
        "rollout": None,
    }
    return row | changes


def cells(made) -> str:
    return "\n".join(str(cell) for column in made.columns for cell in column.cells)


def test_the_status_shows_what_is_locked_held_and_asked_for() -> None:
    whole = {"service": "web", "digest": "", "reason": "the database moves", "who": "ann", "at": 0.0}
    digest = whole | {"digest": NEW, "reason": "r-0 rolled back"}
    locked = service_row(locks=[whole, digest], rollout=shape(staging(held="paused by ann")))
    text = cells(status_table([locked]))
    assert "same  locked" in text
    assert "nodewise resume r-1" in text
    assert "locked" not in cells(status_table([service_row(locks=[digest])]))
    assert [str(line).partition(" locked")[0] for line in lock_lines([locked])] == ["web:"]
    assert [str(line).partition(":")[0] for line in lock_lines([locked], digests=True)] == ["web", "web bbbbbbbbbbbb"]
    over = tuple(replace(s, state=StepState.PASSED) for s in STAGED)
    assert "nodewise approve r-1" in cells(rollout_table([shape(staging(steps=over))]))
