"""The crash matrix of apps: several services in stages, one of which fails; the others are called off or taken back.

The worker is killed at every effect on the swarm, as in the matrix of single services, and before and after each save
of the app's own rollout: what begins a service, calls it off or takes it back is such a save, and no effect.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from rich.console import Console
from rich.table import Table

from nodewise.domain.rollout import Kind
from nodewise.testing import App
from tests.chaos.dying import APP_SAVE, Diary, Killed, moments, watched
from tests.world import SECOND, World, world

pytestmark = pytest.mark.seconds(45)
LONG = 100  # seconds: longer than the lease of a worker that was killed


@dataclass(frozen=True)
class Story:
    """A deploy of 1.1.0 to an app. *stages*: its services and where each stands; *sick*: the one whose gate fails.

    ``ends``: how each service's rollouts end, the deploy and then what takes it back. ``back``: those that are taken
    back, in this order. ``never``: those that are called off before they have begun. ``slow``: those that stay on
    their way for long, between two tasks. ``hooks``: what is run before a service moves.
    """

    name: str
    stages: dict[str, int]
    ends: dict[str, str]
    back: tuple[str, ...]
    sick: str = ""
    never: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()
    hooks: dict[str, str] = field(default_factory=dict)


BACK = "deploy succeeded, rollback succeeded"
STORIES = [
    Story(
        "the last stage's gate fails, and two are taken back",
        {"db": 1, "jobs": 2, "web": 3},
        {"db": BACK, "jobs": BACK, "web": "deploy rolled_back"},
        ("jobs", "db"),
        sick="web",
    ),
    Story(
        "one of a stage fails while the other is on its way",
        {"db": 1, "jobs": 2, "web": 2},
        {"db": BACK, "jobs": "deploy aborted", "web": "deploy rolled_back"},
        ("db",),
        sick="web",
        slow=("jobs",),
    ),
    Story(
        "the second stage's hook fails, and the third has not begun",
        {"db": 1, "jobs": 2, "web": 3},
        {"db": BACK, "jobs": "deploy failed", "web": "deploy aborted"},
        ("db",),
        never=("web",),
        hooks={"jobs": "migrate"},
    ),
]


def begin(w: World, story: Story) -> None:
    image = w.push("1.0.0")
    w.swarm.registry.command(("migrate",), App(exits_after=1.0, exit_code=1))
    for name, stage in story.stages.items():
        slow = name in story.slow
        w.service(
            name,
            image,
            2 if slow else 1,
            {"Delay": LONG * SECOND} if slow else {},
            strategy="cells",
            app="shop",
            stage=str(stage),
            gate__http__url=f"http://{{task}}:80/{name}",
            gate__http__interval="500ms",
            hook__before=story.hooks.get(name, ""),
        )
    w.deploy(w.push("1.1.0", http=lambda path, _: 500 if path == f"/{story.sick}" else 200), "web")


def tell(w: World, story: Story, diary: Diary) -> None:
    """The whole story; a worker that is killed is followed by another one."""
    begin(w, story)
    watched(w, diary)
    while w.deps.store.rollouts(active=True) or w.deps.store.outbox_size():
        try:
            for _ in range(20):
                w.step(w.clock.now() + 1.0)
        except Killed:
            w.deps = w.new_worker()
        assert w.clock.now() < 1_800_003_600, w.told()


def wrong(w: World, story: Story) -> list[str]:
    """What is not as it must be at the end."""
    rollouts = sorted(w.deps.store.rollouts(), key=lambda r: r.id)
    backs = [r for r in rollouts if r.kind is Kind.ROLLBACK]
    ends = {n: ", ".join(f"{r.kind} {r.phase}" for r in rollouts if r.service == n) for n in story.stages}
    found = [f"{name}: {ends[name]}" for name in story.stages if ends[name] != story.ends[name]]
    found += [f"{name} runs {tags}" for name in story.stages if set(tags := w.running(name)) != {"1.0.0"}]
    found += [f"{r.service} had begun" for r in rollouts if r.service in story.never and r.started_at]
    found += [f"{r.id} has no evidence" for r in rollouts if r.failing_task and not r.evidence]
    found += [f"{b.service} with {a.service}" for a, b in itertools.pairwise(backs) if b.started_at < a.ended_at]
    found += [f"{h.name} is left" for h in w.helpers()]
    order = tuple(r.service for r in backs)
    return found if order == story.back else [*found, f"taken back: {order}"]


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.name)
def test_a_worker_killed_at_any_moment_of_an_app_changes_nothing_about_the_end_of_any_service(
    story: Story, capsys: pytest.CaptureFixture[str]
):
    with world(nodes=2) as w:
        diary = Diary()
        tell(w, story, diary)
        assert not wrong(w, story), w.told()
    assert any(what.startswith(APP_SAVE) for what in diary.writes)
    table = Table("effect", "killed", "wrong", title=story.name)
    bad = []
    for what, when, moment in moments(diary):
        with world(nodes=2) as w:
            tell(w, story, Diary(die_at=moment))
            problems = wrong(w, story)
            table.add_row(what, when, "; ".join(problems), style="red" if problems else "")
            if problems:
                bad.append((what, when, problems, w.told()))
    with capsys.disabled():
        Console(width=110).print("\n", table)
    assert not bad
