"""Builds on simulated git, builder and registry: what the product's own jobs make of their troubles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nodewise.domain.build import Build
from nodewise.domain.images import ImageName
from tests.simulated.stage import REPOSITORY, SimulatedStage, Simulation, signed
from tests.world import REGISTRY


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Simulation]:
    made = Simulation(tmp_path)
    yield made
    made.deps.store.close()


def the_build(world: Simulation) -> Build:
    """The only build, once it has ended."""
    return world.run(lambda: next((b for b in world.deps.store.builds() if b.state.terminal), None), 300)


def log_of(world: Simulation, build: Build) -> str:
    return "".join(text for _, text in world.deps.store.build_log(build.id))


def test_what_is_pushed_is_what_was_committed(world):
    SimulatedStage(world).git_push("1.0.0", "200")
    build = the_build(world)
    assert (build.state, build.image) == ("pushed", f"{REGISTRY}/shop:1.0.0")
    assert world.swarm.resolve(ImageName.parse(build.image)).digest == build.digest
    _, app = world.swarm.registry.found(f"{build.image}@{build.digest}")
    assert app.log == ("serving version 1.0.0",)


def test_a_commit_that_is_not_in_the_repository_ends_the_build_with_that_reason(world):
    world.git.commit(REPOSITORY, {"Dockerfile": "FROM scratch\n"})
    ref = f'{{"ref": "refs/tags/v1.0.0", "after": "{"a" * 40}"}}'
    body = f'{{"repository": "{REPOSITORY}", "refs": [{ref}]}}'.encode()
    world.deliver("/hooks/git", body, signed("git-1", int(world.clock.now()), body))
    build = the_build(world)
    assert build.state == "failed"
    assert f"there is no commit {'a' * 40}" in build.error


def test_a_build_without_a_dockerfile_fails_and_says_so(world):
    commit = world.git.commit(REPOSITORY, {"www/version": "1.0.0\n"})
    body = f'{{"repository": "{REPOSITORY}", "refs": [{{"ref": "refs/tags/v1.0.0", "after": "{commit}"}}]}}'.encode()
    world.deliver("/hooks/git", body, signed("git-1", int(world.clock.now()), body))
    build = the_build(world)
    assert build.state == "failed"
    assert "the Dockerfile 'Dockerfile' is not in the repository" in build.error
    assert "the Dockerfile 'Dockerfile' is not in the repository" in log_of(world, build)


@pytest.mark.parametrize("away", ["git", "registry"])
def test_a_server_that_is_away_is_waited_for(world, away):
    server = {"git": world.git, "registry": world.swarm.registry}[away]
    server.away = True
    SimulatedStage(world).git_push("1.0.0", "200")
    world.wait(60)
    (waiting,) = world.deps.store.builds()
    assert not waiting.state.terminal
    server.away = False
    assert the_build(world).state == "pushed"
