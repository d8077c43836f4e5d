"""What the clean-up reads and notes, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodewise.domain.access import Audit
from nodewise.domain.build import BuildState
from nodewise.domain.errors import LostRace
from nodewise.domain.release import ReleaseState
from nodewise.domain.retention import Pushed, Shipped
from nodewise.store import Store
from tests.contract.store_parts import NOW, release
from tests.contract.test_store_builds import add
from tests.unit.swarm_values import NEW, OLD

AUDIT = Audit(NOW, "nodewise", "clean", "web", "b-1 removed")


def push(store: Store, number: int, digest: str = NEW, **fields: object) -> None:
    made = add(store, number, builder="e1", **fields)
    store.save_build(replace(made, state=BuildState.PUSHED, digest=digest), NOW)


def test_every_release_is_shipped_whatever_became_of_it(store: Store):
    releases = [release(1), release(2, ReleaseState.BAD), release(1, service="api", image="x/api:1")]
    store.save_rollouts((), NOW, releases=releases)
    assert sorted(store.shipped(), key=lambda s: (s.service, s.number)) == [
        Shipped("api", 1, "x/api:1", ReleaseState.GOOD),
        Shipped("web", 1, f"reg:5000/web:1@{OLD}", ReleaseState.GOOD),
        Shipped("web", 2, f"reg:5000/web:2@{OLD}", ReleaseState.BAD),
    ]


def test_pushed_are_builds_with_an_image_in_a_registry_newest_first(store: Store):
    push(store, 1, OLD)
    push(store, 3)
    add(store, 2)
    assert store.pushed() == [
        Pushed("b-3", "web", "reg/web:1", NEW, "e1"),
        Pushed("b-1", "web", "reg/web:1", OLD, "e1"),
    ]


def test_an_index_is_pushed_with_its_parts_in_their_order(store: Store):
    push(store, 1)
    parts = {"linux/riscv64": OLD, "linux/amd64": NEW}
    store.save_build(replace(store.build("b-1"), parts=parts), NOW)
    (pushed,) = store.pushed()
    assert list(pushed.parts.items()) == list(parts.items())


@pytest.mark.parametrize("state", BuildState)
def test_a_build_is_under_way_until_it_has_ended(store: Store, state: BuildState):
    store.save_build(replace(add(store, 1), state=state), NOW)
    assert store.building() == (set() if state.terminal else {"web"})


def test_a_build_is_cleaned_once_and_whoever_saves_it_meanwhile_has_lost(store: Store):
    push(store, 1)
    before = store.build("b-1")
    for at in (NOW, NOW + 5):
        store.note_cleaned("b-1", at, AUDIT)
    cleaned = store.build("b-1")
    assert (cleaned.cleaned_at, cleaned.version) == (NOW, before.version + 1)
    assert store.pushed() == []
    assert store.audit(what="clean") == [AUDIT]
    with pytest.raises(LostRace):
        store.save_build(before, NOW)
    assert store.save_build(cleaned, NOW).cleaned_at == NOW
