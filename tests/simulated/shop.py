"""A repository whose commits are built on the simulated swarm, as tests of builds tell of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Semaphore
from typing import Any

from nodewise.domain.build import Build
from nodewise.testing import SimulatedBuilder
from tests.simulated.stage import CONFIG, REPOSITORY, Simulation, read_sample, signed
from tests.world import REGISTRY

MAIN, DEV = "refs/heads/main", "refs/heads/dev"
FILES = {"Dockerfile": "FROM scratch\n", "www/version": "1\n", "health-status": "200\n"}


class Shop:
    """A world whose builds are configured so, and a repository to push to."""

    def __init__(self, folder: Path, **build: Any) -> None:
        config = {"git": REPOSITORY, "refs": ["refs/*"], "image": f"{REGISTRY}/shop:{{short_sha}}", **build}
        self.world = Simulation(folder, {**CONFIG, "builds": {"shop": config}})
        self.world.deps = replace(self.world.deps, build_slots=Semaphore(4))
        self.builder = self.world.deps.builders["builder"]
        self._pushes = 0

    def push(self, ref: str = MAIN, commit: str = "", message: str = "a change", **files: str) -> str:
        """A commit with *files* (an underscore for a slash), and the event of its push."""
        self._pushes += 1
        changed = {name.replace("_", "/"): text for name, text in files.items()}
        tree = {**FILES, "number": str(self._pushes), **changed}
        commit = commit or self.world.git.commit(REPOSITORY, tree, message=message, at=1_764_000_000.0)
        refs = [{"ref": ref, "after": commit, "commit": commit}]
        body = json.dumps({"repository": REPOSITORY, "refs": refs}).encode()
        self.world.clock.advance(0.01)  # the next push is a later one
        self.world.deliver("/hooks/git", body, signed(f"git-{self._pushes}", int(self.world.clock.now()), body))
        return commit

    def builds(self) -> list[Build]:
        """All of them, the oldest first."""
        return self.world.deps.store.builds()[::-1]

    def end(self, count: int) -> list[Build]:
        """So many builds, once all have ended."""
        self.world.run(lambda: len(self.builds()) == count and all(b.state.terminal for b in self.builds()), 600)
        return self.builds()

    def states(self, count: int) -> list[str]:
        return [b.state.value for b in self.end(count)]

    def log(self, build: Build) -> str:
        return "".join(text for _, text in self.world.deps.store.build_log(build.id))

    def meanwhile(self, act: Callable[[], object]) -> None:
        """Have *act* done once, in the middle of the next build, and planned."""
        todo = [act]

        def spend(seconds: float) -> None:
            self.world.spend(seconds)
            if todo:
                todo.pop()()
                while job := self.world.queue.take():
                    self.world.perform(job)

        self.use(SimulatedBuilder(self.world.swarm.registry, read_sample, 6.0, spend))

    def use(self, builder: SimulatedBuilder) -> None:
        self.builder = builder
        self.world.deps = replace(self.world.deps, builders={"builder": builder})
