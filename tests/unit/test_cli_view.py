"""How a rollout looks: as a picture, and line by line."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from nodewise.answers.rollouts import rollout as answer
from nodewise.cli import lines
from nodewise.cli.view import picture
from nodewise.domain.rollout import Kind, Phase
from nodewise.domain.steps import GatePlan, Step, StepState, Streak
from tests.unit.swarm_values import plan, rollout

HTTP = GatePlan("http", 1.0, 3, 2, {"url": "http://{node}/"})
STEPS = (
    Step("n1", "node1", StepState.PASSED, 4.0, ("t1",), (Streak("http", 3, 0, 4.0, "200"),)),
    Step("n2", "node2", StepState.GATING, 6.0, ("t2",), (Streak("http", 1, 0, 8.0, "200"),), "gate http: 200"),
    Step("n3", "node3"),
)


def moving(**changes):
    return rollout(**{"plan": plan(gates=(HTTP,)), "steps": STEPS, **changes})


def drawn(value, now: float = 10.0, width: int = 100, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    out = Console(file=file, width=width, force_terminal=False)
    out.print(picture(answer(value).model_dump(mode="json"), now, out.options.ascii_only))
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def test_every_node_has_one_line_with_its_state_its_gates_and_how_long() -> None:
    text = drawn(moving())
    assert "web  1 (aaaaaaaaaaaa) → 1 (bbbbbbbbbbbb)" in text
    assert "moving  10 s  1 of 3 nodes  r-1" in text
    rows = [" ".join(line.split()) for line in text.splitlines() if "node" in line and "nodes" not in line]
    assert rows == ["✓ node1 passed after 4.0 s 200", "? node2 gating 4.0 s gate http: 200 http 1/3", "· node3 waiting"]


def test_the_end_tells_the_reason_and_the_evidence() -> None:
    ended = moving(
        phase=Phase.ROLLED_BACK,
        reason="node node2: gate http failed: 503",
        evidence="error: boom\nlast line",
        written_at=1.0,
        ended_at=9.0,
    )
    text = drawn(ended, 500.0)
    assert "rolled back: the release from before runs again in 9.0 s" in text
    assert "node node2: gate http failed: 503" in text
    assert "   last line" in text


def test_a_log_line_cannot_steer_the_terminal_or_the_markup() -> None:
    text = drawn(
        moving(phase=Phase.FAILED, ended_at=9.0, evidence="\x1b]0;owned\x07[red]x[/red] \x1b[2J", reason="[/]")
    )
    assert "\x1b" not in text
    assert "[red]x[/red]" in text


def test_a_rollback_says_where_it_goes() -> None:
    text = drawn(rollout(kind=Kind.ROLLBACK, phase=Phase.PENDING, plan=None, steps=(), requested=4))
    assert "web  back to release 4" in text


def test_a_rollout_that_nobody_takes_up_says_so() -> None:
    pending = rollout(phase=Phase.PENDING, plan=None, steps=(), image="reg/web:2")
    assert "no worker" not in drawn(pending, 2.0)
    assert "no worker has taken it up yet" in drawn(pending, 20.0)


def test_a_terminal_without_unicode_gets_plain_letters() -> None:
    text = drawn(moving(), encoding="ascii")
    assert "(aaaaaaaaaaaa) -> 1" in text
    assert "+  node1" in text


def test_line_by_line_only_changes_are_told() -> None:
    first = answer(moving()).model_dump(mode="json")
    same = answer(moving(version=2)).model_dump(mode="json")
    passed = replace(STEPS[1], state=StepState.PASSED)
    after = replace(moving(), steps=(STEPS[0], passed, STEPS[2]), phase=Phase.ROLLING_BACK, reason="bad")
    assert list(lines.changes(first, same)) == []
    assert list(lines.changes(first, answer(after).model_dump(mode="json"))) == [
        "web rolling_back: bad",
        "node2 passed 200",
    ]


def test_line_by_line_begins_with_what_is_known() -> None:
    told = list(
        lines.changes(None, answer(moving(plan=plan(gates=(HTTP,), notes=("delay raised",)))).model_dump(mode="json"))
    )
    assert told[0].startswith("web  1 (aaaaaaaaaaaa)")
    assert told[1:] == [
        "note: delay raised",
        "web moving",
        "node1 passed 200",
        "node2 gating gate http: 200  http 1/3",
        "node3 waiting",
    ]
