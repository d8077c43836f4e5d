"""Which pushed commits become images, in which order, and which give way: the product's own jobs on simulated git."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from nodewise.domain.build import BuildState
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.images import ImageName
from nodewise.domain.recipe import SourceOrder
from nodewise.ports import Progress
from nodewise.testing import SimulatedBuilder
from tests.simulated.shop import DEV, MAIN
from tests.simulated.stage import REPOSITORY, read_sample
from tests.world import REGISTRY


def test_what_git_says_of_the_commit_stands_with_the_build(opened):
    shop = opened(image=f"{REGISTRY}/shop:{{version}}-{{date}}", args={"V": "{version}"})
    commit = shop.push("refs/tags/v1.2.0", message="Sell hats\n\nMany.")
    (build,) = shop.end(1)
    assert build.image == f"{REGISTRY}/shop:1.2.0-20251124-160000"
    assert (build.author, build.message, build.committed_at) == ("Ada <ada@example.org>", "Sell hats\n\nMany.", 1764e6)
    (order,) = shop.builder.built
    assert order.args == {"V": "1.2.0"}
    assert order.labels["org.opencontainers.image.revision"] == commit
    assert order.labels["org.opencontainers.image.source"] == REPOSITORY
    assert order.labels["org.opencontainers.image.created"].endswith("+00:00")


def test_a_name_that_git_cannot_fill_fails_and_says_so(opened):
    shop = opened(image=f"{REGISTRY}/shop:{{version}}")
    shop.push()
    (build,) = shop.end(1)
    assert build.state is BuildState.FAILED
    assert "asks for {version}, which refs/heads/main does not have" in build.error


def test_commits_of_a_repository_are_built_one_after_the_other_in_their_order(opened):
    shop = opened(supersede="never")
    commits = [shop.push(ref) for ref in (MAIN, DEV, "refs/tags/v1", MAIN)]
    builds = shop.end(4)
    assert [b.commit for b in builds] == commits
    assert {b.state for b in builds} == {BuildState.PUSHED}
    begun = [b.started_at for b in builds]
    assert begun == sorted(begun)
    assert all(later - earlier >= 2.0 for earlier, later in itertools.pairwise(begun))


def test_a_newer_commit_replaces_those_that_wait(opened):
    shop = opened()
    shop.meanwhile(lambda: [shop.push() for _ in range(3)])
    shop.push()
    assert shop.states(4) == ["pushed", "replaced", "replaced", "pushed"]
    assert len(shop.builder.built) == 2
    builds = shop.builds()
    assert builds[1].error.startswith(f"replaced by {builds[3].id}")


def test_tags_and_other_branches_are_not_replaced(opened):
    shop = opened()
    shop.meanwhile(lambda: [shop.push(ref) for ref in ("refs/tags/v1", "refs/tags/v2", DEV)])
    shop.push()
    assert shop.states(4) == ["pushed"] * 4


def test_a_newer_commit_replaces_the_one_under_way_where_it_should(opened):
    shop = opened(supersede="running")
    shop.meanwhile(shop.push)
    shop.push()
    first, second = shop.end(2)
    assert (first.state, second.state) == (BuildState.REPLACED, BuildState.PUSHED)
    assert first.ended_at - first.started_at < 6.0
    assert f"replaced by {second.id}" in shop.log(first)


def test_watch_paths_are_about_what_changed_since_the_last_image(opened):
    shop = opened(paths=["src", "!src/docs"])
    for files in ({}, {"number": "x"}, {"src_docs_a": "1"}, {"src_app": "1", "src_docs_a": "1"}):
        shop.push(**files)
        shop.world.wait(30)
    assert shop.states(4) == ["pushed", "skipped", "skipped", "pushed"]
    assert "nothing changed in src, !src/docs since the last build" in shop.builds()[1].error


def test_what_gave_way_to_a_commit_that_is_not_built_is_built_after_all(opened):
    shop = opened()
    shop.meanwhile(lambda: [shop.push(), shop.push(message="Mend a word [skip ci]")])
    shop.push()
    assert shop.states(3) == ["pushed", "pushed", "skipped"]


def test_the_same_commit_and_inputs_are_built_once(opened):
    shop = opened(image=f"{REGISTRY}/shop:{{branch}}", refs=["refs/heads/*"])
    commit = shop.push(MAIN)
    shop.push(DEV, commit)
    first, second = shop.end(2)
    assert len(shop.builder.built) == 1
    assert first.digest == second.digest
    assert f"not built again: {first.id}" in shop.log(second)
    assert shop.world.swarm.resolve(ImageName.parse(f"{REGISTRY}/shop:dev")).digest == first.digest


def test_a_branch_that_goes_back_gets_its_older_image_back(opened):
    shop = opened(image=f"{REGISTRY}/shop:{{branch}}")
    first = shop.push(MAIN)
    shop.end(1)
    shop.push(MAIN)
    shop.end(2)
    shop.push(MAIN, first)
    builds = shop.end(3)
    assert len(shop.builder.built) == 2
    assert builds[2].digest == builds[0].digest != builds[1].digest
    assert shop.world.swarm.resolve(ImageName.parse(f"{REGISTRY}/shop:main")).digest == builds[0].digest


def test_an_image_that_waits_for_its_registry_neither_takes_nor_gives_back_a_newer_ones_name(opened):
    shop = opened(image=f"{REGISTRY}/shop:{{branch}}", supersede="never")
    push = shop.builder.push
    away = [True]

    def once(name: ImageName, progress: Progress) -> str:
        if away.pop():
            away.append(False)
            shop.push()
            raise RetryLater("connection refused", delay=15.0)
        away.append(False)
        return push(name, progress)

    shop.builder.push = once
    shop.push()
    first, second = shop.end(2)
    assert (first.state, second.state) == (BuildState.REPLACED, BuildState.PUSHED)
    assert "was pushed as registry.test/shop:main before" in first.error
    assert shop.world.swarm.resolve(ImageName.parse(f"{REGISTRY}/shop:main")).digest == second.digest


def test_a_push_that_is_told_twice_is_built_once(opened):
    shop = opened()
    commit = shop.push()
    shop.end(1)
    shop.push(commit=commit)
    shop.world.wait(30)
    assert len(shop.builds()) == 1


def test_a_source_build_gets_its_order_and_its_failure_is_the_builds(opened):
    shop = opened(
        source={"image": "maven:3", "command": "mvn package", "cache": "/root/.m2", "env": {"SHA": "{sha}"}},
        secrets={"maven": "/run/secrets/maven"},
    )

    def fails(order: SourceOrder, progress: Progress) -> None:
        progress.line("[ERROR] no hats")
        raise GiveUp("the source build failed with exit code 1\n[ERROR] no hats")

    shop.use(SimulatedBuilder(shop.world.swarm.registry, read_sample, source=fails))
    commit = shop.push()
    (build,) = shop.end(1)
    assert build.state is BuildState.FAILED
    assert "exit code 1" in build.error
    assert "[ERROR] no hats" in shop.log(build)
    (order,) = shop.builder.ran
    assert (order.image, order.command, order.cache) == ("maven:3", "mvn package", ("/root/.m2",))
    assert order.env | {} == {
        "CI": "true",
        "NODEWISE_COMMIT": commit,
        "SOURCE_DATE_EPOCH": "1764000000",
        "SHA": commit,
    }
    assert order.secrets == {"maven": Path("/run/secrets/maven")}
    assert not shop.builder.built


def test_a_build_that_waits_for_its_engine_lets_others_go_on(opened):
    shop = opened()

    def away() -> None:
        raise RetryLater("no builder answers", delay=20.0)

    good = shop.builder.ping
    shop.builder.ping = away
    shop.push()
    shop.world.run(
        lambda: [b.state.value for b in shop.builds()] == ["waiting"] and "tried again" in shop.log(shop.builds()[0])
    )
    shop.builder.ping = good
    assert shop.states(1) == ["pushed"]


@pytest.mark.parametrize(
    ("limit", "words"),
    [({"timeout": "3s"}, "not done after 3 s"), ({"max_log": 200}, "printed more than 200 characters")],
)
def test_limits_end_a_build(opened, limit, words):
    shop = opened(source={"image": "maven:3", "command": "x"}, **limit)

    def endless(_: SourceOrder, progress: Progress) -> None:
        while True:
            shop.world.spend(0.5)
            progress.line("and on")

    shop.use(SimulatedBuilder(shop.world.swarm.registry, read_sample, source=endless))
    shop.push()
    (build,) = shop.end(1)
    assert build.state is BuildState.FAILED
    assert words in build.error
    assert len(shop.log(build)) < 600
    assert not list((shop.world.settings.data_dir / "builds").iterdir())
