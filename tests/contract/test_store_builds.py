"""Builds on both databases: their order, who gives way to whom, and that each repository has one at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodewise.domain.build import Build, BuildState
from nodewise.domain.errors import Conflict, LostRace
from nodewise.domain.events import CodePushed
from nodewise.domain.recipe import Access, Limits, Recipe, SourceBuild, Supersede
from nodewise.store import Store
from tests.contract.store_parts import NOW
from tests.unit.swarm_values import NEW

MAIN = "refs/heads/main"
RECIPE = Recipe(
    args={"A": "1"},
    secrets={"npm": "/run/secrets/npm"},
    platforms=("linux/amd64", "linux/arm64"),
    source=SourceBuild("maven:3", "mvn package", ("/root/.m2",), ("target",), {"X": "y"}),
    access=Access(key="/run/secrets/key"),
    paths=("src",),
    supersede=Supersede.RUNNING,
    limits=Limits(seconds=5.0),
)


def add(store: Store, number: int, **fields: object) -> Build:
    commit = f"{number:040x}"
    build = replace(Build(f"b-{number}", "web", "x", MAIN, commit, "reg/web:1", BuildState.WAITING, NOW), **fields)
    event_id, _ = store.add_event(CodePushed(build.repository, build.ref, commit), "test", NOW)
    store.finish_event(event_id, f"build {build.id}", NOW, builds=[build])
    return build


def test_a_build_comes_back_as_it_was_saved_with_its_log(store: Store):
    build = add(store, 1, recipe=RECIPE, author="Ada", message="Sell hats\n\nMany.", committed_at=NOW)
    assert store.build("b-1") == build
    saved = store.save_build(replace(build, state=BuildState.PUSHED, digest=NEW, ended_at=NOW), NOW)
    assert store.build("b-1") == saved
    with pytest.raises(LostRace):
        store.save_build(build, NOW)
    for part in ("one\n", "two\0\n", "three\n"):
        store.append_build_log("b-1", part)
    log = store.build_log("b-1")
    assert "".join(text for _, text in log).startswith("one\ntwo")
    assert [text for _, text in store.build_log("b-1", after=log[1][0])] == ["three\n"]


def test_the_ids_and_digests_of_many_platforms_come_back_in_their_order(store: Store):
    ids = [f"sha256:{n:064x}" for n in range(9, 0, -1)]
    parts = {f"linux/{name}": f"sha256:{n:064x}" for n, name in enumerate(("riscv64", "arm64", "amd64"))}
    made = replace(add(store, 1).made("engine", ids), parts=parts, state=BuildState.PUSHED, digest=NEW)
    store.save_build(made, NOW)
    found = store.build("b-1")
    assert (found.image_ids, list(found.parts.items())) == (tuple(ids), list(parts.items()))


def test_the_newest_build_of_a_name_is_found_whatever_became_of_it(store: Store):
    assert store.build_named("reg/web:1") is None
    add(store, 1)
    failed = store.save_build(replace(add(store, 2), state=BuildState.FAILED), NOW)
    add(store, 3, image="reg/web:2")
    assert store.build_named("reg/web:1") == failed


def test_of_one_repository_one_build_is_under_way(store: Store):
    first, second = add(store, 1), add(store, 2, name="other", ref="refs/tags/v1")
    elsewhere = add(store, 3, repository="y")
    store.save_build(replace(first, state=BuildState.BUILDING), NOW)
    store.save_build(replace(elsewhere, state=BuildState.BUILDING), NOW)
    with pytest.raises(Conflict, match="another build of x"):
        store.save_build(replace(second, state=BuildState.BUILDING), NOW)
    assert store.build("b-2") == second
    done = store.save_build(replace(store.build("b-1"), state=BuildState.BUILT), NOW)
    assert store.save_build(replace(second, state=BuildState.BUILDING), NOW).state is BuildState.BUILDING
    assert done.version == 2


def test_builds_wait_for_those_that_were_pushed_before_and_are_not_built(store: Store):
    first, second, third = add(store, 1), add(store, 2, ref="refs/tags/v1"), add(store, 3, repository="y")
    assert store.build_ahead(first) is None
    assert store.build_ahead(second) == first
    assert store.build_ahead(third) is None
    store.save_build(replace(first, state=BuildState.BUILT), NOW)
    assert store.build_ahead(second) is None


def test_a_newer_build_is_one_of_the_same_ref_that_was_not_skipped(store: Store):
    first = add(store, 1)
    add(store, 2, ref="refs/heads/dev")
    add(store, 3, name="other")
    assert store.newer_build(first) is None
    newer = add(store, 4)
    assert store.newer_build(first) == newer
    assert store.latest_build("web", MAIN) == newer
    store.save_build(replace(newer, state=BuildState.SKIPPED), NOW)
    assert store.newer_build(first) is None


def test_what_gave_way_is_found_by_who_comes_to_nothing(store: Store):
    first, second, third = add(store, 1), add(store, 2), add(store, 3)
    assert store.given_way(third) is None
    replaced = store.save_build(replace(second, state=BuildState.REPLACED), NOW)
    assert store.given_way(third) == replaced
    assert store.given_way(first) is None


def test_the_last_image_of_a_ref_and_the_image_of_the_same_inputs(store: Store):
    first = store.save_build(replace(add(store, 1), state=BuildState.PUSHED, inputs="i"), NOW)
    second = add(store, 2)
    assert store.last_pushed(second) == first
    assert store.last_pushed(first) is None
    tagged = add(store, 3, ref="refs/tags/v1", commit=first.commit, inputs="i")
    assert store.same_build(tagged) == first
    assert store.same_build(replace(tagged, inputs="j")) is None
    assert store.same_build(replace(tagged, commit="f" * 40)) is None
