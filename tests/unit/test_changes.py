"""What is told of a write: every field that differs, and no value that may be secret."""

from __future__ import annotations

import copy

import pytest

from nodewise.domain.release import marked, with_image
from nodewise.domain.swarm import ResolvedImage
from nodewise.strategies import Terrain
from nodewise.strategies.rolling import WHERE_NONE, update_settings
from tasks.changes import HIDDEN, TOLD, Change, spec_changes
from tests.integration.every_field import every_field
from tests.unit.swarm_values import CONTAINER, NEW, NODES, OLD, spec

IMAGE = f"reg:5000/web:2@{NEW}"
PLATFORMS = ({"Architecture": "amd64", "OS": "linux"},)


def full_spec():
    return every_field(f"reg:5000/web:1@{OLD}", {"ID": "s1", "Name": "secret"}, {"ID": "c1", "Name": "conf"}, "net1")


def test_a_write_is_told_field_by_field_with_both_values() -> None:
    before = spec(OLD, team="shop")
    after = marked(with_image(before, IMAGE, ResolvedImage(NEW, PLATFORMS)), "r-1", WHERE_NONE)
    assert spec_changes(before, after) == (
        Change("Labels.nodewise.rollout", None, "r-1"),
        Change("TaskTemplate.ContainerSpec.Image", f"reg:5000/web:1@{OLD}", IMAGE),
        Change("TaskTemplate.Placement.Platforms", None, [dict(PLATFORMS[0])]),
        Change("UpdateConfig.FailureAction", None, "rollback"),
        Change("UpdateConfig.Order", None, "stop-first"),
        Change("UpdateConfig.Parallelism", None, 1),
    )


def test_the_same_spec_has_no_changes() -> None:
    assert spec_changes(full_spec(), copy.deepcopy(full_spec())) == ()


@pytest.mark.parametrize("given", [full_spec(), spec(OLD), full_spec() | {"UpdateConfig": None, "Labels": None}])
def test_a_rollout_writes_nothing_but_image_platforms_update_settings_and_mark(given) -> None:
    config, _ = update_settings(Terrain(given, (), NODES, (CONTAINER,), bake=60.0), (CONTAINER,))
    written = marked(with_image(given, IMAGE, ResolvedImage(NEW, PLATFORMS)), "r-1", config)
    changes = spec_changes(given, written)
    assert changes
    for change in changes:
        assert any(f"{change.path}.".startswith(f"{path}.") for path in TOLD), change
        assert HIDDEN not in (change.old, change.new)


def test_of_any_other_field_it_is_told_that_it_changes_and_not_to_what() -> None:
    after = full_spec()
    after["TaskTemplate"]["ContainerSpec"]["Env"] = ["PASSWORD=hunter2"]
    after["Labels"]["token"] = "hunter2"
    del after["TaskTemplate"]["ContainerSpec"]["User"]
    changes = spec_changes(full_spec(), after)
    assert changes == (
        Change("Labels.token", None, HIDDEN),
        Change("TaskTemplate.ContainerSpec.Env", HIDDEN, HIDDEN),
        Change("TaskTemplate.ContainerSpec.User", HIDDEN, None),
    )
