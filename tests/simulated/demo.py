"""``./dev demo --simulated``: the demonstration's story on a simulated swarm in virtual time, and the other strategies.

It says so at its beginning, in its summary and at its end. What it prints it has seen.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog

from nodewise import control
from nodewise.domain.model import Rollout
from nodewise.domain.staging import open_question
from tests.simulated.stage import SimulatedStage, Simulation, sample
from tests.story import NODES, Story
from tests.telling import Row, Teller, out

STAGED = {
    "strategy": "staged",
    "candidate.publish": "18080:8080",
    "gate.http.url": "http://{node}:{port}/cgi-bin/health",
}
PAUSE = 20.0  # virtual seconds
MAIL = ("mail-migrate", "mail-worker", "mail-web")  # in the order of their stages


class SimulatedStory(Story):
    """The story of the real demonstration, and three more chapters."""

    stage: SimulatedStage

    def run(self) -> None:
        super().run()
        self.staged_with_approvals()
        self.staged_paused_and_aborted()
        self.cells_in_order()

    def staged_with_approvals(self) -> None:
        self.say("[bold]staged[/]: 1.4.0 walks the nodes as candidates; a person approves every step")
        self.relabel({**STAGED, "steps": "1,100%", "gate.approval": "each"})
        before, start = self.untouched(), self.stage.now()
        with self.stage.load() as load:
            rollout = self.begun("1.4.0")
            for candidates in (1, NODES):
                self.asks_with(candidates, rollout)
                assert self.untouched() == before, "the running service is as it was"
                control.approve(self.stage.world.deps, rollout, "ada")
                self.say("        approved by ada")
            ended = self.watch(rollout)
        assert ended["phase"] == "succeeded", ended
        assert [a.who for a in self.rollout(rollout).approvals] == ["ada", "ada"]
        assert self.candidates() == []
        self.everywhere("1.4.0")
        self.row("staged", "registry notification", "approved twice, moved", start, "1.4.0", load)

    def staged_paused_and_aborted(self) -> None:
        self.say("[bold]paused, aborted[/]: 1.5.0, staged node by node, held by a person after the second")
        self.relabel({"steps": "each", "gate.approval": "false"})
        before, start = self.untouched(), self.stage.now()
        with self.stage.load() as load:
            rollout = self.begun("1.5.0")
            self.stage.wait("two candidates", lambda: self.seen(rollout) and len(self.candidates()) == 2, 120)
            control.pause(self.stage.world.deps, rollout, "ada")
            held = self.candidates()
            self.stage.world.wait(PAUSE)
            assert self.candidates() == held, "nothing new has begun"
            assert self.rollout(rollout).held == "paused by ada"
            self.seen(rollout)
            self.say(f"        paused by ada for {PAUSE:g} virtual s: candidates stay on {' and '.join(held)}")
            control.abort(self.stage.world.deps, rollout, "ada")
            ended = self.watch(rollout)
        assert (ended["phase"], ended["reason"]) == ("aborted", "aborted by ada"), ended
        assert self.untouched() == before, "no task of the running service was touched"
        assert self.candidates() == []
        assert load.failed == 0, "nobody has noticed"
        self.everywhere("1.4.0")
        self.row("aborted", "registry notification", "running tasks untouched", start, "1.5.0", load)

    def cells_in_order(self) -> None:
        self.say(f"[bold]cells[/]: one push moves the services of an app in order: {', '.join(MAIL)}")
        world = self.stage.world
        image = world.push("1.0.0", "mail")
        for number, name in enumerate(MAIL, 1):
            world.service(name, image, 2, strategy="cells", app="mail", stage=str(number), track="semver:^1")
        start = self.stage.now()
        world.notify("mail", "1.1.0", world.swarm.push(world.image("1.1.0", "mail"), sample("1.1.0")))
        ended = [self.follow_member(name) for name in MAIL]
        assert [r["phase"] for r in ended] == ["succeeded"] * len(MAIL), ended
        assert all(b["started_at"] >= a["ended_at"] for a, b in itertools.pairwise(ended)), "held between"
        assert all(world.running(name) == ["1.1.0"] * 2 for name in MAIL)
        first = self.stage.first_task("1.1.0", start) - start
        self.rows.append(
            Row("cells", "registry notification", "one service after the other", first, self.stage.now() - start)
        )

    # -- doing and seeing --------------------------------------------------------------------------

    def relabel(self, labels: dict[str, str]) -> None:
        """``docker service update --label-add``: nothing of it restarts a task."""
        new = {f"nodewise.{k}": v for k, v in labels.items()}
        change = lambda spec: {**spec, "Labels": {**spec["Labels"], **new}}  # noqa: E731
        self.stage.world.swarm.foreign_update(self.service, change)

    def begun(self, version: str) -> str:
        """Push *version*; the rollout that comes of it."""
        self.stage.push(version)
        look = lambda: next((r.id for r in self.on_the_way() if f":{version}@" in r.image), None)  # noqa: E731
        return self.stage.wait(f"a rollout to {version}", look, 60)

    def on_the_way(self) -> list[Rollout]:
        return self.stage.world.deps.store.rollouts(self.service, active=True)

    def rollout(self, rollout_id: str) -> Rollout:
        return self.stage.world.get(rollout_id)

    def asks_with(self, candidates: int, rollout_id: str) -> None:
        """Wait until it asks for an approval: by then candidates run on so many nodes."""
        look = lambda: self.seen(rollout_id) and open_question(self.rollout(rollout_id))  # noqa: E731
        self.stage.wait("its question", look, 120)
        here = self.candidates()
        assert len(here) == candidates, here
        self.say(f"        candidates run on {', '.join(here)}; it waits for an approval")

    def follow_member(self, name: str) -> dict[str, Any]:
        look = lambda: self.stage.get("rollouts", service=name)["rollouts"]  # noqa: E731
        rollout = self.stage.wait(f"a rollout of {name}", look, 60)[0]
        return self.watch(rollout["id"])

    def candidates(self) -> list[str]:
        """Names of the nodes on which a candidate runs."""
        world = self.stage.world
        ids = [h.id for h in world.helpers() if h.helper.startswith("candidate.")]
        names = {n.id: n.name for n in world.swarm.nodes()}
        return sorted(names[t.node_id] for t in world.swarm.tasks(ids) if t.running)

    def untouched(self) -> tuple[set[str], int]:
        """The service's running tasks, and its version in the swarm."""
        view = self.stage.world.swarm.service(self.service)
        assert view is not None
        return self.stage.world.task_ids(self.service), view.version


def play() -> int:
    """Tell the story. The exit code; AssertionError where something of it does not hold."""
    began = time.monotonic()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    out.print(
        "[bold yellow]This is a simulation.[/] The swarm (five nodes), its registry, git and the builder are simulated,"
        " and time is virtual: nobody waits.\nReal are Nodewise's receiver and API (called in the same process), its"
        " jobs, its store and its decisions.\nThe same story on a real swarm: ./dev demo\n"
    )
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # nothing here is about a disk
    with tempfile.TemporaryDirectory(prefix="nodewise-demo-", dir=memory) as folder:
        world = Simulation(Path(folder))
        teller = Teller(world.clock.now, "virtual s")
        try:
            story = SimulatedStory(SimulatedStage(world), teller)
            story.run()
        finally:
            world.deps.store.close()
        out.print()
        out.print(teller.table("What was shown: on a simulated swarm, all times virtual", story.rows))
    took = f"{time.monotonic() - began:.1f} s of real time"
    teller.say(f"[green]all of it held, on a simulated swarm in virtual time[/] (it took {took})")
    return 0
