"""The worker is killed at every effect: before its decision is saved, after that, and after it was carried out.

On the simulated swarm, where the same story can be told again and again to the same point. Each must end as it would
have without the kill, with no hand needed, and what may be done once only must have been done once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from rich.console import Console
from rich.table import Table

from nodewise import control
from nodewise.domain.rollout import Phase
from tests.chaos.dying import Diary, Killed, moments, watched
from tests.world import World, world

BAD = {"exits_after": 1.0, "exit_code": 3, "last_words": ("it broke",)}


@dataclass(frozen=True)
class Story:
    """A deploy of 1.1.0, how it ends, and what runs then. ``once``: jobs that must have been made exactly once.

    ``runs`` empty: whatever it is. ``then``: what a person asks for, "abort" once it moves, or "rollback" once it has
    succeeded; the end is then that of the rollback.
    """

    name: str
    ends: Phase
    runs: str
    labels: dict[str, str] = field(default_factory=dict)
    app: dict[str, object] = field(default_factory=dict)
    once: tuple[str, ...] = ()
    replicas: int | None = None
    then: str = ""


HTTP = {"gate__http__url": "http://{task}:80/", "gate__http__interval": "500ms"}
SICK = {"http": lambda *_: 500}
STORIES = [
    Story("rolling", Phase.SUCCEEDED, "1.1.0"),
    Story("rolling, a task fails", Phase.ROLLED_BACK, "1.0.0", app=BAD),
    Story("rolling, a gate fails", Phase.ROLLED_BACK, "1.0.0", HTTP, SICK),
    Story(
        "rolling, hooks", Phase.SUCCEEDED, "1.1.0", {"hook__before": "a", "hook__after": "b"}, {}, ("before", "after")
    ),
    Story("rolling, pre-pull", Phase.SUCCEEDED, "1.1.0", {"prepull": "true"}, {}, (), 2),
    Story(
        "rolling, watched", Phase.ROLLED_BACK, "1.0.0", {"watch": "20s"}, {"exits_after": 9.0, "exit_code": 1}, (), 2
    ),
    Story("rolling, frozen", Phase.FROZEN, "", {"on_failure": "freeze"}, BAD),
    Story("rolling, aborted", Phase.ABORTED, "1.0.0", then="abort"),
    Story("a rollback", Phase.SUCCEEDED, "1.0.0", then="rollback"),
    Story("staged", Phase.SUCCEEDED, "1.1.0", {"strategy": "staged"}),
    Story("staged, a task fails", Phase.ROLLED_BACK, "1.0.0", {"strategy": "staged"}, BAD),
    Story("staged, a gate fails", Phase.ROLLED_BACK, "1.0.0", {"strategy": "staged", **HTTP}, SICK),
    Story("staged, hooks", Phase.SUCCEEDED, "1.1.0", {"strategy": "staged", "hook__before": "a"}, {}, ("before",)),
    Story("cells", Phase.SUCCEEDED, "1.1.0", {"strategy": "cells", "app": "shop"}),
]


def begin(w: World, story: Story) -> str:
    w.service(replicas=story.replicas, **story.labels)
    deploy = w.deploy(w.push("1.1.0", **story.app))
    if story.then != "rollback":
        return deploy.id
    w.end(deploy)
    return w.rollback().id


def tell(w: World, story: Story, diary: Diary) -> Phase:
    """The whole story; a worker that is killed is followed by another one. How it ended."""
    rollout = begin(w, story)
    watched(w, diary)
    made: dict[str, set[str]] = {}
    while not w.get(rollout).phase.terminal or w.deps.store.outbox_size():
        try:
            if story.then == "abort" and (now := w.get(rollout)).phase is Phase.MOVING and not now.abort:
                control.abort(w.deps, rollout, "alice")
            while not w.step():
                pass
        except Killed:
            w.deps = w.new_worker()
        for helper in w.helpers():
            made.setdefault(helper.helper, set()).add(helper.id)
        assert w.clock.now() < 1_800_003_600, w.told()
    assert all(len(made.get(name, ())) == 1 for name in story.once), made
    ended = w.get(rollout)
    assert not ended.failing_task or ended.evidence, "what has failed has left its words"
    return ended.phase


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.name)
def test_a_worker_killed_at_any_effect_changes_nothing_about_the_end(story: Story, capsys: pytest.CaptureFixture[str]):
    with world(nodes=2) as w:
        diary = Diary()
        assert tell(w, story, diary) is story.ends, w.told()
    chosen = moments(diary)
    assert chosen, "a story without an effect shows nothing"
    table = Table("effect", "killed", "ended as", "runs", title=f"{story.name}: must end {story.ends}")
    wrong = []
    for what, when, moment in chosen:
        with world(nodes=2) as w:
            ended = tell(w, story, Diary(die_at=moment))
            running = sorted(set(w.running()))
            right = ended is story.ends and (not story.runs or running == [story.runs]) and w.helpers() == []
            table.add_row(what, when, ended.value, ", ".join(running), style="" if right else "red")
            if not right:
                wrong.append((what, when, ended.value, running, w.told()))
    with capsys.disabled():
        Console(width=110).print("\n", table)
    assert not wrong


def test_every_effect_there_is_has_been_killed_at():
    """The stories together carry out every kind of effect; a new kind needs a new story."""
    from nodewise.domain import effects

    kinds = {cls.__name__ for cls in effects.Effect.__args__}
    assert kinds == {"WriteSpec", "KeepEvidence", "MakeHelper", "RemoveHelper"}
