"""Chores: what is done once for a whole rollout, before anything moves and after everything has. Pure.

``disk`` and ``prepull`` run on every node concerned, ``before`` and ``after`` once in the new image. A chore is a
job service. That it is made once is held by its name, which the swarm gives out once; that it is not made again by
``ChoreRun.made``: a migration that has been seen running and is gone has been removed by someone else, and is not
run a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nodewise.domain.causes import NO_IMAGE, Cause, Finding
from nodewise.domain.effects import MakeHelper
from nodewise.domain.helpers import chore_spec
from nodewise.domain.model import Chore, ChoreRun, Helper, Rollout, Seen
from nodewise.domain.swarm import NodeView, TaskView

BEFORE = ("disk", "prepull", "before")
AFTER = ("after",)
AT_ONCE = 10  # nodes that pull at the same time: more would only share the registry's line
PULLS = 3  # how often a pre-pull is tried: engines do not tell a missing image from a registry that is away
LOG_CAP = 16_000  # characters that are kept of what a chore printed
ENDED = ("complete", "failed", "rejected", "orphaned", "shutdown", "remove")


def purpose(run: ChoreRun, node_id: str = "") -> str:
    """The helper label of one try, on one node where it is for one."""
    name = run.name if run.attempts == 1 else f"{run.name}#{run.attempts}"
    return f"{name}.{node_id}" if node_id else name


def with_chores(rollout: Rollout, seen: Seen) -> Rollout:
    """The chores after one more look at their jobs."""
    assert rollout.plan is not None
    runs = tuple(_after(run, rollout.plan.chore(run.name), seen) for run in rollout.chores)
    return rollout if runs == rollout.chores else replace(rollout, chores=runs)


def next_chore(rollout: Rollout, names: Sequence[str], seen: Seen) -> Finding | None:
    """What the first chore of *names* that is not done amounts to; None when all are done."""
    for run in rollout.chores:
        if run.name not in names or run.done:
            continue
        if run.failed:
            return Finding(Cause.VETO, f"{_WORDS[run.name]} failed: {run.detail}")
        doing = f"{_WORDS[run.name]}: {run.detail or 'begins'}"
        return Finding(Cause.PROGRESS, doing, effects=_make(rollout, run, seen))
    return None


def hook_runs(rollout: Rollout) -> bool:
    """Whether a migration is on its way: a newer deploy does not break into it, it waits for its end."""
    run = rollout.chore("before")
    return run is not None and run.made and not (run.done or run.failed)


def wants_log(rollout: Rollout, helper: Helper) -> list[TaskView]:
    """The ended tasks of a chore whose output has to be read before it can be judged or kept."""
    own = helper.purpose.partition(".")[0]
    run = next((r for r in rollout.chores if purpose(r) == own and not (r.done or r.failed)), None)
    return [t for t in helper.tasks if t.state in ENDED] if run is not None and run.name != "prepull" else []


_WORDS = {
    "disk": "the look at the nodes' disks",
    "prepull": "the pre-pull",
    "before": "nodewise.hook.before",
    "after": "nodewise.hook.after",
}


def _make(rollout: Rollout, run: ChoreRun, seen: Seen) -> tuple[MakeHelper, ...]:
    assert rollout.plan is not None
    chore = rollout.plan.chore(run.name)
    if chore is None:
        return ()
    if not chore.nodes:
        there = run.made or seen.helper(purpose(run)) is not None
        return () if there else (MakeHelper(chore_spec(rollout, chore, purpose(run))),)
    nodes = _nodes(chore, seen.nodes)
    missing = [n for n in nodes if seen.helper(purpose(run, n.id)) is None]
    busy = sum(_latest(run, n, seen) is None for n in nodes) - len(missing)
    new = missing[: max(0, AT_ONCE - busy)]
    return tuple(MakeHelper(chore_spec(rollout, chore, purpose(run, n.id), n)) for n in new)


def _nodes(chore: Chore, nodes: Mapping[str, NodeView]) -> list[NodeView]:
    """Where it is to be done. A node that went away in the meantime is not waited for."""
    return [nodes[n] for n in chore.nodes if n in nodes and nodes[n].takes_tasks]


def _latest(run: ChoreRun, node: NodeView, seen: Seen) -> TaskView | None:
    """The ended task of one node's job; None while there is none."""
    helper = seen.helper(purpose(run, node.id))
    ended = [t for t in helper.tasks if t.state in ENDED] if helper else []
    return max(ended, key=lambda t: t.at, default=None)


def _after(run: ChoreRun, chore: Chore | None, seen: Seen) -> ChoreRun:
    if run.done or run.failed or chore is None:
        return run
    if chore.nodes:
        return _on_nodes(run, chore, seen)
    helper = seen.helper(purpose(run))
    if helper is not None:
        return _once(replace(run, made=True), helper)
    if not run.made:
        return run
    return replace(run, failed=True, detail="its job was removed by someone else; it is not run a second time")


def _once(run: ChoreRun, helper: Helper) -> ChoreRun:
    """A hook: one task, once."""
    task = max(helper.tasks, key=lambda t: t.at, default=None)
    if task is None:
        return run
    log = helper.logs.get(task.id, "")[-LOG_CAP:]
    if task.state == "complete":
        return replace(run, done=True, detail="done", log=log)
    if task.state in ENDED:
        return replace(run, failed=True, detail=task.error or f"its task is {task.state}", log=log)
    return replace(run, detail=f"task {task.state}")


def _on_nodes(run: ChoreRun, chore: Chore, seen: Seen) -> ChoreRun:
    """A chore of several nodes, a job each."""
    wanted = _nodes(chore, seen.nodes)
    ended = {n.id: task for n in wanted if (task := _latest(run, n, seen))}
    open_ = [n.name for n in wanted if n.id not in ended]
    if open_:
        shown = ", ".join(open_[:AT_ONCE]) + (f" and {len(open_) - AT_ONCE} more" if len(open_) > AT_ONCE else "")
        return replace(run, detail=f"waits for {shown}")
    judge = _disk_problem if chore.name == "disk" else _pull_problem
    problems = [p for n in wanted if (p := judge(chore, n, ended[n.id], _printed(run, n, ended[n.id], seen)))]
    if problems and chore.name == "prepull" and run.attempts < PULLS:
        return replace(run, attempts=run.attempts + 1, detail=problems[0])
    if problems:
        return replace(run, failed=True, detail="; ".join(problems))
    return replace(run, done=True, detail=f"done on {len(wanted)} node{'' if len(wanted) == 1 else 's'}")


def _printed(run: ChoreRun, node: NodeView, task: TaskView, seen: Seen) -> str:
    helper = seen.helper(purpose(run, node.id))
    return helper.logs.get(task.id, "") if helper else ""


def _pull_problem(chore: Chore, node: NodeView, task: TaskView, _printed: str) -> str:
    """A rejected task could not pull; one that failed has pulled, and only lacks the harmless command."""
    if task.state != "rejected":
        return ""
    return f"node {node.name} cannot pull {chore.image}: {task.error or 'no reason given'}{NO_IMAGE}"


def _disk_problem(chore: Chore, node: NodeView, _task: TaskView, printed: str) -> str:
    """Too little space is a problem; a node that cannot tell is none."""
    free = free_bytes(printed)
    if free is None or free >= chore.need:
        return ""
    return f"node {node.name} has {_gib(free)} free on its disk, and {_gib(chore.need)} are asked for"


def free_bytes(printed: str) -> int | None:
    """The fourth column of ``df -Pk``'s second line, in bytes (POSIX df: 1024-blocks Used Available)."""
    lines = printed.strip().splitlines()
    columns = lines[1].split() if len(lines) > 1 else []
    return int(columns[3]) * 1024 if len(columns) > 3 and columns[3].isdigit() else None


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
