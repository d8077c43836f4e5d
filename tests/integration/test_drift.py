"""Drift on the real swarm: what someone else makes of a service is put on record once, and nothing else is."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nodewise.bootstrap import Deps, build_deps
from nodewise.config.settings import Settings
from nodewise.domain.errors import RetryLater
from nodewise.domain.release import ReleaseState
from nodewise.domain.swarm import HELPER_LABEL, ServiceView, Spec
from tasks.watch import watch
from tests.integration.swarm_parts import RealSwarm, until

pytestmark = pytest.mark.lab

TRACKED = {"nodewise.track": "semver:^1"}


@pytest.fixture
def deps(swarm: RealSwarm, tmp_path: Path) -> Iterator[Deps]:
    made = build_deps(Settings(data_dir=tmp_path, docker_hosts=(swarm.manager,)))
    made.store.migrate()
    yield made
    made.store.close()


def service(swarm: RealSwarm, name: str, labels: dict[str, str], image: str = "") -> ServiceView:
    quick = {"Parallelism": 0, "Monitor": 200_000_000, "Order": "stop-first"}
    made = swarm.create(f"drift-{name}", Labels=labels, UpdateConfig=quick)
    return swarm.started(made)


def scaled(spec: Spec) -> Spec:
    spec = copy.deepcopy(spec)
    spec["Mode"]["Replicated"]["Replicas"] = 3
    return spec


def told(deps: Deps, view: ServiceView) -> list[str]:
    """What was said about drift, oldest first, without the image."""
    rows = deps.store.audit(subject=view.name, what="drift")
    return [row.detail.rpartition(", ")[0] for row in reversed(rows)]


def numbers(deps: Deps, view: ServiceView) -> list[tuple[int, str, str]]:
    return [(r.number, r.state.value, r.origin) for r in deps.store.releases(view.name)][::-1]


def settled(swarm: RealSwarm, view: ServiceView, count: int = 2) -> None:
    until(lambda: swarm.all_running(view.id, count) and swarm.engine.service(view.id).update_state != "updating")


def test_every_change_by_hand_is_kept_as_a_release_and_the_way_back_is_told(swarm: RealSwarm, deps: Deps):
    view = service(swarm, "hand", TRACKED)
    for _ in range(2):
        watch(deps, "")
    assert numbers(deps, view) == [(1, "good", "found running")]
    swarm.write(view.id, scaled)
    watch(deps, view.id)
    assert len(numbers(deps, view)) == 1, "scaling is no drift"
    swarm.write(view.id, swarm.to(swarm.v2))
    assert watch(deps, view.id).again_at is not None, "it does not run yet"
    assert numbers(deps, view)[1:] == [(2, "new", "changed by someone else")]
    settled(swarm, view, 3)
    assert watch(deps, view.id).again_at is None
    assert numbers(deps, view)[1:] == [(2, "good", "changed by someone else")]
    swarm.roll_back_as_a_person(view.id)
    for _ in range(2):
        watch(deps, view.id)
    assert len(numbers(deps, view)) == 2
    assert told(deps, view) == [
        "release 1: found running",
        "release 2: changed by someone else",
        "release 1: runs again, changed by someone else",
    ]


def test_services_that_are_nobodys_or_ones_own_helpers_are_left_out(swarm: RealSwarm, deps: Deps):
    alone = service(swarm, "alone", {})
    helper = service(swarm, "helper", {**TRACKED, HELPER_LABEL: "before"})
    watch(deps, "")
    watch(deps, alone.id)
    watch(deps, helper.id)
    watch(deps, "no-such-service")
    assert numbers(deps, alone) == numbers(deps, helper) == []


def test_of_several_who_look_at_once_one_keeps_it(swarm: RealSwarm, deps: Deps):
    view = service(swarm, "race", TRACKED)

    def look(_: int) -> None:
        try:
            watch(deps, view.id)
        except RetryLater:  # the machinery runs the job again
            watch_again.append(1)

    watch_again: list[int] = []
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(look, range(6)))
    watch(deps, view.id)
    assert numbers(deps, view) == [(1, ReleaseState.GOOD.value, "found running")]
    assert told(deps, view) == ["release 1: found running"]
