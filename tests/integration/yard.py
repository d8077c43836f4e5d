"""A yard in which hostile sources are built: a repository, a store, and the product's own job on a real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Semaphore

import docker

from nodewise.adapters.builds.builder import DockerBuilder
from nodewise.adapters.git.cli import GitCli
from nodewise.bootstrap import Deps, SystemClock
from nodewise.config.settings import Settings
from nodewise.domain.build import Build, BuildState
from nodewise.domain.events import CodePushed
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.recipe import Limits, Recipe, SourceBuild
from nodewise.store import Store
from nodewise.testing import ManualClock, MemoryQueue
from tasks.perform import run
from tests.integration.git_parts import MAIN, git
from tests.integration.hostile_parts import SECRETS
from tests.lab import shell
from tests.world import Unused

NAME = "nodewise-yard:1"  # on the engine alone: nothing of this gets as far as a registry


@dataclass
class Yard:
    """*repository*: a work tree; its commit is what is built. *deps*: the product's, on a real engine."""

    deps: Deps
    repository: Path
    client: docker.APIClient
    shell: str

    def running(self, command: str, where: str, limits: Limits) -> Recipe:
        """A recipe of which one part runs *command*."""
        if where == "source":
            return replace(self.source(command), limits=limits)
        with (self.repository / "Dockerfile").open("a") as recipe:
            recipe.write(f"RUN {json.dumps(['/bin/sh', '-c', command])}\n")
        return Recipe(limits=limits)

    def source(self, command: str) -> Recipe:
        return Recipe(source=SourceBuild(self.shell, command, output=("out",)))

    def fails(self, recipe: Recipe, *words: str) -> None:
        """The build fails, its error has these words, and nothing of it is left."""
        git(self.repository, "add", "-A")
        git(self.repository, "commit", "-qm", "mean no good")
        now, commit = self.deps.clock.now(), git(self.repository, "rev-parse", "HEAD")
        build = Build("b-1", "yard", str(self.repository), MAIN, commit, NAME, BuildState.WAITING, now, recipe=recipe)
        event, _ = self.deps.store.add_event(CodePushed(build.repository, MAIN, commit), "test", now)
        self.deps.store.finish_event(event, "", now, builds=[build])
        run(self.deps, Job(Verb.BUILD, "b-1"))
        ended = self.deps.store.build("b-1")
        assert ended is not None
        assert ended.state is BuildState.FAILED, self.log()
        for word in words:
            assert word in ended.error, ended.error
        self.nothing_is_left(ended)

    def log(self) -> str:
        return "".join(text for _, text in self.deps.store.build_log("b-1"))

    def nothing_is_left(self, ended: Build) -> None:
        said = ended.error + self.log()
        assert not any(secret in said for secret in (*SECRETS, "root:x:0:0"))
        assert list((self.deps.settings.data_dir / "builds").iterdir()) == []
        label = {"label": f"nodewise.build={ended.id}"}
        assert self.client.containers(all=True, filters=label) == []
        assert not self.client.volumes(filters=label)["Volumes"]


@contextmanager
def yard(host: str, folder: Path) -> Iterator[Yard]:
    settings = Settings(data_dir=folder / "data", git_allow_local=True)
    store = Store.open(settings.database_url)
    store.migrate()
    repository = folder / "app"
    repository.mkdir()
    git(repository, "init", "-qb", "main")
    shell.context(repository)
    deps = Deps(
        settings=settings,
        store=store,
        engine=Unused(),
        builders={host: DockerBuilder(host, lambda _: None)},
        git=GitCli(settings.data_dir / "git", allow_local=True),
        registry=Unused(),
        queue=MemoryQueue(ManualClock()),
        clock=SystemClock(),
        build_slots=Semaphore(1),
    )
    with docker.APIClient(host, timeout=60) as client:
        for line in client.build(str(repository), "nodewise-yard-shell:1", rm=True, decode=True):
            assert "error" not in line, line
        yield Yard(deps, repository, client, "nodewise-yard-shell:1")
    store.close()
