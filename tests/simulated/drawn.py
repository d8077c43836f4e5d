"""What is drawn at random for the properties: services, releases, and scripts of what people and crashes do to them.

A script is played, and then everything is brought to its end as a person would: what is held is resumed, and what is
held again and again is called off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from nodewise import control
from nodewise.domain.errors import Conflict, NotFound
from nodewise.domain.rollout import Rollout
from nodewise.domain.staging import open_question
from nodewise.testing import App
from nodewise.testing.records import Task, TaskState
from tests.world import SECOND, World

Act = tuple[str, Any]
Script = list[tuple[int, Act]]

GOOD = ("good", "slow")
RELEASES: dict[str, dict[str, Any]] = {
    "good": {},
    "slow": {"start": 6.0, "healthcheck": True},
    "exits": {"exits_after": 2.0, "exit_code": 1},
    "sick": {"http": lambda _path, _seconds: 500},
    "ages": {"http": lambda _path, seconds: 200 if seconds < 12 else 500},
}
COMMANDS = {
    "well": App(),
    "long": App(exits_after=7.0),
    "badly": App(exits_after=1.0, exit_code=4),
}
TRIES = 2  # how often a person resumes what is held before it is called off


def sparse(*values: Any) -> st.SearchStrategy[Any]:
    """The first value half of the time: labels that few services have."""
    return st.just(values[0]) | st.sampled_from(values)


UPDATES = {
    "replicas": st.sampled_from([None, 1, 2, 3, 6]),
    "parallelism": st.integers(1, 2),
    "order": st.sampled_from(["stop-first", "start-first"]),
    "delay": st.sampled_from([0, 2]),
}
CHORES = {
    "hook__before": sparse("", *COMMANDS),
    "hook__after": sparse("", *COMMANDS),
    "prepull": sparse("false", "true"),
}
PEOPLE = ["rollback", "abort", "pause", "resume", "approve", "unlock"]
CRASHES = ["kill", "leader", "wipe"]


def scripts(acts: st.SearchStrategy[Any], size: int) -> st.SearchStrategy[Script]:
    """Up to *size* acts, so many seconds after each other."""
    return st.lists(st.tuples(st.integers(0, 25), acts), min_size=1, max_size=size)


def most_down(drawn: dict[str, Any], script: Script, taken_back: bool) -> int:
    """How many tasks may be down at a time that have not ended by themselves, in batches of the parallelism.

    With start-first none: an old task goes when the new one runs, whichever way. With stop-first one batch: a newer
    deploy takes over between two tasks. What is taken back does not wait for that: the write is made at once, Swarm
    drops its update with the tasks on their way half-way, and begins another one with slots in an order of its own,
    perhaps none of those. So there may be one batch more, and never two: whatever is taken back meanwhile goes to the
    same release, and for tasks that is the same update.

    Each new leader may add a batch as well. It begins the update anew, and to it a task on its way is a slot that is
    done: it goes on with others, and with start-first it removes the old task there before the new one runs
    (swarmkit, manager/orchestrator/update/updater.go, worker and useExistingTask).
    """
    leaders = sum(what == "leader" for _, (what, _) in script)
    batches = 0 if drawn["order"] == "start-first" else 1 + taken_back
    return drawn["parallelism"] * (batches + leaders)


def takes_back(drawn: dict[str, Any], script: Script) -> bool:
    """Whether anything in *script* may be taken back: by a person, by a gate or task, or by a hook after the move."""
    hands = any(what in ("rollback", "abort") for _, (what, _) in script)
    releases = [on for _, (what, on) in script if what == "deploy"]
    return hands or drawn["hook__after"] == "badly" or any(r not in GOOD for r in releases)


def make(w: World, name: str, image: str, drawn: dict[str, Any], **labels: str) -> int:
    """One service of those *drawn*; how many tasks it is to have."""
    for word, app in COMMANDS.items():
        w.swarm.registry.command((word,), app)
    update = {"Parallelism": drawn["parallelism"], "Order": drawn["order"], "Delay": drawn["delay"] * SECOND}
    more = {k: v for k, v in drawn.items() if k not in UPDATES and v}
    w.service(name, image, drawn["replicas"], update, **more, **labels)
    return drawn["replicas"] or len(w.swarm.nodes())


class Lowest:
    """The fewest tasks of each service at a time that nobody has taken down: at any moment, not only when one looks.

    A place whose task has ended by itself counts as there until the next one runs in it: that is the release's own
    doing, and no promise is about it.
    """

    def __init__(self, w: World, *names: str) -> None:
        self.of = {name: len(w.running(name)) for name in names}
        self._broken: set[tuple[str, Any]] = set()
        ears = w.swarm._cluster.ears
        ears.desired.append(self._changed)
        ears.ended.append(self._changed)

    def _changed(self, task: Task) -> None:
        service = task.service
        if service.name not in self.of:
            return
        if task.state in ENDED:
            self._broken.add((service.name, task.place))
        elif task.state is TaskState.RUNNING:
            self._broken.discard((service.name, task.place))
        up = {p for p, tasks in service.places.items() if any(_runs(t) for t in tasks)}
        broken = sum((service.name, p) in self._broken for p in service.places if p not in up)
        self.of[service.name] = min(self.of[service.name], len(up) + broken)


ENDED = (TaskState.FAILED, TaskState.REJECTED, TaskState.COMPLETE)


def _runs(task: Task) -> bool:
    return task.state is task.desired is TaskState.RUNNING


def play(w: World, script: Script, act: Callable[[int, str, Any], None]) -> None:
    """Do what *script* says, each thing in its time. What cannot be done then is said in words; nothing is changed."""
    for number, (pause, (what, on)) in enumerate(script, 1):
        until = w.clock.now() + pause + 0.1  # never two at the same time: ids tell their order
        while w.clock.now() < until:
            w.step(until)
        try:
            act(number, what, on)
        except (Conflict, NotFound):
            pass


def crash(w: World, what: str) -> None:
    """What breaks by itself."""
    if what == "kill":
        w.deps = w.new_worker()
    elif what == "leader":
        w.swarm.leader_changed()
    elif what == "wipe":
        w.queue.wipe()


def person(w: World, what: str, service: str) -> None:
    """What a person asks for. Raises Conflict or NotFound where it cannot be had now."""
    if what == "rollback":
        w.rollback(service=service)
    elif what == "unlock":
        control.unlock(w.deps, service, "someone")
    elif rollouts := w.deps.store.rollouts(service, active=True):
        getattr(control, what)(w.deps, rollouts[-1].id, "someone")


def finish(w: World, approves: bool, seconds: float = 7200.0) -> None:
    """Go on until everything has ended, and answer every other second what waits for an answer."""
    resumed: Counter[str] = Counter()
    end = w.clock.now() + seconds
    while not _over(w, approves, resumed):
        assert w.clock.now() < end, w.told()
        until = w.clock.now() + 2.0
        while w.clock.now() < until:
            w.step(until)


def _over(w: World, approves: bool, resumed: Counter[str]) -> bool:
    open_ = w.deps.store.rollouts(limit=1000, active=True)
    for rollout in open_:
        _answer(w, rollout, approves, resumed)
    return not open_ and w.deps.store.outbox_size() == 0


def _answer(w: World, rollout: Rollout, approves: bool, resumed: Counter[str]) -> None:
    """What a person does about one that waits for a person."""
    if rollout.held and not rollout.abort:
        resumed[rollout.id] += 1
        (control.resume if resumed[rollout.id] <= TRIES else control.abort)(w.deps, rollout.id, "someone")
    elif approves and open_question(rollout):
        control.approve(w.deps, rollout.id, "someone")
