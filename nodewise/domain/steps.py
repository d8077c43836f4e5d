"""Steps: how far a rollout is on each node, and what the gates have said there so far.

A step is one node. It passes when every task of the new release on that node runs, each gate has held
often enough in a row, and has gone on holding for the bake time. Pure: readings come in, steps come out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from nodewise.domain.swarm import NodeView, TaskView

LATE = 0.1  # of a gate's interval: a reading that much after its time is on time


class StepState(StrEnum):
    """How far one node is. ``skipped``: the service has no task there any more."""

    WAITING = "waiting"
    MOVING = "moving"
    GATING = "gating"
    BAKING = "baking"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    """What a gate says. ``inconclusive`` is neither: it breaks no row of failures and makes no pass."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class GatePlan:
    """One gate as frozen in a plan. ``config`` belongs to the gate's own file; times are in seconds."""

    name: str
    interval: float
    successes: int
    failures: int
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when a gate is read: one node, with the tasks of the new release that run there.

    ``failed``: tasks of the new release that ended by themselves there since the rollout wrote. ``memo``: what
    the gate's last reading here left for this one; empty the first time.
    """

    node: NodeView
    tasks: tuple[TaskView, ...]
    now: float
    service: str = ""
    rollout_id: str = ""
    image: str = ""
    failed: tuple[TaskView, ...] = ()
    memo: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer of one gate about one node, kept as evidence.

    ``reached`` is false when nothing answered at all: an application that is still starting. That is
    waited for until the gate has passed once; from then on it is a failure. ``memo`` is for the gate's next
    reading on this node, and nobody else: counters to take a difference from.
    """

    gate: str
    node_id: str
    verdict: Verdict
    detail: str
    at: float
    task_id: str = ""
    reached: bool = True
    memo: str = ""


@dataclass(frozen=True, slots=True)
class Streak:
    """A gate's latest row of equal verdicts on one node. ``held``: it has passed at least once.

    ``read_at``: when it was read, or rather when it was due if it was read a little after that.
    """

    gate: str
    passes: int = 0
    fails: int = 0
    read_at: float = 0.0
    detail: str = ""
    held: bool = False
    memo: str = ""

    def after(self, reading: Reading, gate: GatePlan) -> Streak:
        """The streak with one more reading. A gate without an interval that goes on saying the same is no news."""
        if not gate.interval and self.passes >= gate.successes and reading.verdict is Verdict.PASS:
            return self if self.detail == reading.detail else replace(self, detail=reading.detail)
        good = reading.verdict is Verdict.PASS
        bad = reading.verdict is Verdict.FAIL and (reading.reached or self.held)
        return Streak(
            self.gate,
            passes=self.passes + 1 if good else 0,
            fails=self.fails + 1 if bad else 0 if good else self.fails,
            read_at=self._paced(reading.at, gate.interval),
            detail=reading.detail,
            held=self.held or good,
            memo=reading.memo,
        )

    def _paced(self, at: float, interval: float) -> float:
        """What each look costs must not add up: the next reading is due an interval after this one was."""
        due = self.read_at + interval
        return due if self.read_at and 0 <= at - due < LATE * interval else at


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a rollout. ``since``: when its present state began with its present tasks (seconds since the epoch).

    ``stage``: the nodes of one stage move together, the next stage after it; all in one where the order is Swarm's.
    ``size``: how many tasks the service had there. ``first_passed``: when it passed for the first time.
    """

    node_id: str
    node: str
    state: StepState = StepState.WAITING
    since: float = 0.0
    tasks: tuple[str, ...] = ()
    streaks: tuple[Streak, ...] = ()
    detail: str = ""
    stage: int = 0
    size: int = 1
    first_passed: float | None = None

    def streak(self, gate: str) -> Streak:
        return next((s for s in self.streaks if s.gate == gate), Streak(gate))

    def to(self, state: StepState, now: float, detail: str = "") -> Step:
        if state is self.state:
            return self if detail == self.detail else replace(self, detail=detail)
        passed = now if state is StepState.PASSED and self.first_passed is None else self.first_passed
        return replace(self, state=state, since=now, detail=detail, first_passed=passed)

    @property
    def over(self) -> bool:
        return self.state in (StepState.PASSED, StepState.SKIPPED)


def first_steps(tasks: Sequence[TaskView], nodes: Mapping[str, NodeView]) -> tuple[Step, ...]:
    """The steps of a plan: every node that runs the service now, by name."""
    sizes = Counter(t.node_id for t in tasks if t.desired == "running" and t.node_id)
    steps = [Step(i, nodes[i].name if i in nodes else i, size=n) for i, n in sizes.items()]
    return tuple(sorted(steps, key=lambda s: (s.node, s.node_id)))


def walk(
    steps: Sequence[Step],
    tasks: Sequence[TaskView],
    nodes: Mapping[str, NodeView],
    readings: Sequence[Reading],
    gates: Sequence[GatePlan],
    bake: float,
    now: float,
) -> tuple[Step, ...]:
    """Every step after one more observation. A node that joins in the middle gets a step of its own.

    A new task waits as "ready" while the old one before it stops: the node moves, and has not lost the service.
    """
    wanted = [t for t in tasks if t.desired in ("running", "ready") and t.node_id]
    known = {s.node_id for s in steps}
    joined = sorted({t.node_id for t in wanted if t.up_to_date} - known)
    new = [Step(i, nodes[i].name if i in nodes else i, since=now) for i in joined]
    return tuple(
        walk_one(
            step,
            [t for t in wanted if t.node_id == step.node_id],
            [r for r in readings if r.node_id == step.node_id],
            gates,
            bake,
            now,
        )
        if not _left(step, wanted, nodes)
        else step.to(StepState.SKIPPED, now, "the node is paused, and keeps its task")
        for step in (*steps, *new)
    )


def _left(step: Step, tasks: Sequence[TaskView], nodes: Mapping[str, NodeView]) -> bool:
    """A paused node whose tasks are all old: Swarm does not touch them."""
    node = nodes.get(step.node_id)
    here = [t for t in tasks if t.node_id == step.node_id]
    return node is not None and node.availability == "pause" and bool(here) and not any(t.up_to_date for t in here)


def walk_one(
    step: Step,
    tasks: Sequence[TaskView],
    readings: Sequence[Reading],
    gates: Sequence[GatePlan],
    bake: float,
    now: float,
) -> Step:
    """One step after one more observation of its node's tasks and readings."""
    fresh = [t for t in tasks if t.up_to_date]
    if not tasks:
        return step.to(StepState.SKIPPED, now, "no task of the service here")
    if not fresh:
        return step.to(StepState.WAITING, now)
    ids = tuple(sorted(t.id for t in fresh))
    if ids != step.tasks:
        step = replace(step, tasks=ids, streaks=(), since=now)
    starting = [t for t in fresh if not t.running]
    if starting or len(fresh) < len(tasks):
        detail = f"task {starting[0].state}" if starting else "an older task still runs here"
        return step.to(StepState.MOVING, now, detail)
    return _gated(replace(step, streaks=_streaks(step, readings, gates)), gates, bake, now)


def _streaks(step: Step, readings: Sequence[Reading], gates: Sequence[GatePlan]) -> tuple[Streak, ...]:
    streaks = []
    for gate in gates:
        streak = step.streak(gate.name)
        for reading in readings:
            if reading.gate == gate.name:
                streak = streak.after(reading, gate)
        streaks.append(streak)
    return tuple(streaks)


def _gated(step: Step, gates: Sequence[GatePlan], bake: float, now: float) -> Step:
    for gate in gates:
        streak = step.streak(gate.name)
        if streak.fails >= gate.failures:
            return step.to(StepState.FAILED, now, f"gate {gate.name} failed: {streak.detail}")
    open_gates = [g for g in gates if step.streak(g.name).passes < g.successes]
    if open_gates:
        gate = open_gates[0]
        return step.to(StepState.GATING, now, f"gate {gate.name}: {step.streak(gate.name).detail}")
    if step.state is StepState.PASSED:
        return step
    if bake and step.state is not StepState.BAKING:
        return step.to(StepState.BAKING, now)
    if step.state is StepState.BAKING and now < step.since + bake:
        return step
    return step.to(StepState.PASSED, now)


def due_readings(
    steps: Sequence[Step], tasks: Sequence[TaskView], gates: Sequence[GatePlan], now: float
) -> list[tuple[GatePlan, str]]:
    """(gate, node id) pairs to read now: nodes whose new tasks all run, gates whose interval is over.

    A node that has passed is read on: a gate that breaks later, while others still move, is a veto too.
    """
    due = []
    by_node = {s.node_id: s for s in steps}
    for node_id in sorted({t.node_id for t in tasks if t.up_to_date and t.desired == "running" and t.node_id}):
        here = [t for t in tasks if t.node_id == node_id and t.desired == "running"]
        if not all(t.running and t.up_to_date for t in here):
            continue
        step = by_node.get(node_id, Step(node_id, node_id))
        same = step.tasks == tuple(sorted(t.id for t in here))
        for gate in gates:
            streak = step.streak(gate.name)
            # Without an interval it is asked anew when the tasks have changed: until then it would say the same.
            settled = same and not gate.interval and streak.passes >= gate.successes
            if not settled and (not same or now >= streak.read_at + gate.interval):
                due.append((gate, node_id))
    return due


def next_reading(steps: Sequence[Step], gates: Sequence[GatePlan], bake: float) -> list[float]:
    """When gates and bakes fall due by time alone, on nodes whose new tasks run."""
    due = [s.since + bake for s in steps if s.state is StepState.BAKING]
    for step in steps:
        if step.tasks and step.state in (StepState.GATING, StepState.BAKING, StepState.PASSED):
            due += [step.streak(g.name).read_at + g.interval for g in gates if g.interval]
    return due


def time_to_pass(gates: Sequence[GatePlan], bake: float) -> float:
    """How long a node needs, at best, from its task running to its step passed or vetoed. Seconds."""
    if not gates:
        return bake
    slowest = max(g.interval * max(g.successes, g.failures) + _timeout(g) for g in gates)
    return slowest + bake


def _timeout(gate: GatePlan) -> float:
    return float(gate.config.get("timeout", 0.0))
