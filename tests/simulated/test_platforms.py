"""Images for several platforms, by the product's own jobs: parts, index, one rollout; and troubles between them."""

from __future__ import annotations

import pytest

from nodewise.domain.build import BuildState
from nodewise.domain.errors import GiveUp
from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.recipe import ImageOrder
from nodewise.ports import Progress
from nodewise.testing import SimulatedBuilder
from tests.simulated.shop import DEV, MAIN
from tests.simulated.stage import read_sample
from tests.world import REGISTRY

PLATFORMS = ["linux/amd64", "linux/arm64"]


def test_each_platform_is_pushed_then_the_index_and_the_index_is_rolled_out_once(opened):
    shop = opened(platforms=PLATFORMS, image=f"{REGISTRY}/shop:{{tag}}", refs=["refs/tags/*"])
    first = shop.world.push("v1", name="shop")
    shop.world.service("shop", first, track="glob:v*")
    shop.push("refs/tags/v2")
    (build,) = shop.end(1)
    assert [o.platform for o in shop.builder.built] == PLATFORMS
    pushed = [line for line in shop.log(build).splitlines() if "digest: " in line]
    assert [line.partition(":")[0] for line in pushed] == ["v2-linux-amd64", "v2-linux-arm64", "v2"]
    assert list(build.parts) == PLATFORMS
    assert build.digest not in build.parts.values()
    assert shop.world.swarm.resolve(ImageName.parse(build.image)).digest == build.digest
    for tag, digest in (*zip(("v2-linux-amd64", "v2-linux-arm64"), build.parts.values(), strict=True),):
        shop.world.notify("shop", tag, digest)
    shop.world.notify("shop", "v2", build.digest)
    shop.world.wait(60)
    (rollout,) = shop.world.deps.store.rollouts("shop")
    assert shop.world.end(rollout).phase.value == "succeeded"
    assert shop.world.swarm.service("shop").image == f"{build.image}@{build.digest}"


def test_the_source_is_built_once_for_all_platforms_and_each_has_its_own_names(opened):
    cache = f"{REGISTRY}/shop:cache"
    shop = opened(platforms=PLATFORMS, source={"image": "maven:3", "command": "mvn package"}, cache=cache)
    commit = shop.push()
    assert shop.states(1) == ["pushed"]
    assert len(shop.builder.ran) == 1
    endings = ("-linux-amd64", "-linux-arm64")
    assert [o.name for o in shop.builder.built] == [f"{REGISTRY}/shop:{commit[:12]}{e}" for e in endings]
    assert [o.cache for o in shop.builder.built] == [f"{cache}{e}" for e in endings]


@pytest.mark.parametrize("platforms", [[], ["linux/arm64"]])
def test_one_platform_has_no_index_and_no_other_tag(opened, platforms):
    shop = opened(platforms=platforms)
    commit = shop.push()
    (build,) = shop.end(1)
    assert shop.world.swarm.registry.tags(ImageName.parse(build.image)) == [commit[:12]]
    assert [o.platform for o in shop.builder.built] == (platforms or [""])
    assert build.parts == {}


def test_a_registry_that_goes_away_between_part_and_index_is_waited_for_without_another_build(opened):
    shop = opened(platforms=PLATFORMS)
    registry = shop.world.swarm.registry
    registry.gone.add(REGISTRY)  # the builder still reaches it
    shop.push()
    shop.world.run(lambda: [b.state.value for b in shop.builds()] == ["built"], 60)
    shop.world.wait(60)
    registry.gone.clear()
    (build,) = shop.end(1)
    assert (build.state, len(shop.builder.built)) == (BuildState.PUSHED, 2)
    assert registry.digest(ImageName.parse(build.image)) == build.digest


def test_a_worker_that_dies_between_part_and_index_loses_nothing(opened, monkeypatch):
    shop = opened(platforms=PLATFORMS)

    def dies(*_: object) -> str:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(shop.world.swarm.registry, "index", dies)
        shop.push()
        shop.end(1)
    (build,) = shop.builds()
    assert (build.state, len(build.image_ids), build.digest) == (BuildState.BUILT, 2, "")
    (build,) = shop.end(1)
    assert (build.state, len(shop.builder.built)) == (BuildState.PUSHED, 2)


def test_all_platforms_are_built_again_where_the_image_of_one_is_gone(opened):
    shop = opened(platforms=PLATFORMS)
    shop.world.swarm.registry.away = True
    shop.push()
    shop.world.run(lambda: [b.state.value for b in shop.builds()] == ["built"], 60)
    (build,) = shop.builds()
    shop.builder.remove(build.images["linux/arm64"])
    shop.world.swarm.registry.away = False
    assert shop.states(1) == ["pushed"]
    assert len(shop.builder.built) == 4


def test_the_same_commit_and_platforms_are_built_once(opened):
    shop = opened(platforms=PLATFORMS, image=f"{REGISTRY}/shop:{{branch}}", refs=["refs/heads/*"])
    commit = shop.push(MAIN)
    shop.push(DEV, commit)
    first, second = shop.end(2)
    assert len(shop.builder.built) == 2
    assert (first.digest, first.parts) == (second.digest, second.parts)
    tags = shop.world.swarm.registry.tags(ImageName.parse(first.image))
    assert tags == [f"{branch}{end}" for branch in ("dev", "main") for end in ("", "-linux-amd64", "-linux-arm64")]


def test_an_older_push_that_comes_late_does_not_bring_its_index_back(opened):
    shop = opened(platforms=PLATFORMS, image=f"{REGISTRY}/shop:{{branch}}")
    registry = shop.world.swarm.registry
    registry.away = True
    shop.push()
    shop.world.run(lambda: [b.state.value for b in shop.builds()] == ["built"], 60)
    shop.push()
    shop.world.run(lambda: [b.state.value for b in shop.builds()] == ["built"] * 2, 60)
    shop.world.clock.advance(60)
    registry.away = False
    shop.world.perform(Job(Verb.PUSH, shop.builds()[1].id))
    older, newer = shop.end(2)
    assert (older.state, newer.state) == (BuildState.REPLACED, BuildState.PUSHED)
    assert f"replaced by {newer.id}" in older.error
    assert registry.digest(ImageName.parse(newer.image)) == newer.digest


def test_an_engine_that_cannot_run_another_platforms_programs_is_told_with_the_way_out(opened):
    class Native(SimulatedBuilder):
        def build(self, order: ImageOrder, progress: Progress) -> str:
            if order.platform == "linux/arm64":
                raise GiveUp("the build failed at Step 2/2 : RUN true: exec /bin/sh: exec format error")
            return super().build(order, progress)

    shop = opened(platforms=PLATFORMS)
    shop.use(Native(shop.world.swarm.registry, read_sample))
    shop.push()
    (build,) = shop.end(1)
    assert build.state is BuildState.FAILED
    assert build.error.startswith("for linux/arm64: the build failed at Step 2/2")
    assert "binfmt" in build.error


def test_a_name_that_platforms_make_too_long_fails_before_anything_is_built(opened):
    shop = opened(platforms=PLATFORMS, image=f"{REGISTRY}/shop:{{branch}}")
    shop.push("refs/heads/" + "x" * 120)
    (build,) = shop.end(1)
    assert (build.state, shop.builder.built) == (BuildState.FAILED, [])
    assert "at most 128" in build.error
