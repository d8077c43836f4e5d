"""The watcher: rollouts are woken by what they wait for, and what someone else does is put on record."""

from __future__ import annotations

import time
from typing import Any

import pytest

from nodewise.bootstrap import WATCHER
from nodewise.domain.rollout import Phase
from tests.product import wait_for
from tests.scene import Scene

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.seconds(40)]

FAST = {"Monitor": 1_000_000_000}
FAR = 3.0  # seconds: more than a rollout leaves between two looks where nobody watches


def holder(scene: Scene) -> str:
    """Who watches."""
    rows = scene.rows(f"SELECT holder FROM leases WHERE name = '{WATCHER}' AND until > {time.time()}")
    return str(rows[0]["holder"]) if rows else ""


def own_look(scene: Scene, rollout: str) -> float | None:
    """When the rollout will look by itself, once that is far away."""
    rows = scene.rows(f"SELECT due_at FROM outbox WHERE subject = '{rollout}' AND leased_until IS NULL")
    return rows[0]["due_at"] if rows and rows[0]["due_at"] - time.time() > FAR else None


def releases(scene: Scene, service: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scene.product.get(f"services/{service}/releases")["releases"]
    return found


def test_a_rollout_moves_on_before_it_would_have_looked_by_itself(scene: Scene):
    scene.push(scene.image("1.1.0"))
    service = scene.create_service("woken", scene.image("1.0.0"), 1, track="", update=FAST, watch="5m", deadline="1h")
    wait_for("the watcher", lambda: holder(scene))
    rollout = scene.product.post(f"services/{service}/deploy", image=scene.image("1.1.0"))["id"]
    scene.product.wait_service(service, lambda r: r["phase"] == Phase.WATCHING)
    due = wait_for("a look that is far away", lambda: own_look(scene, rollout))
    (task,) = [t for t in scene.tasks(service) if t["DesiredState"] == t["Status"]["State"] == "running"]
    node = next(n for n in scene.lab.nodes if n.client().info()["Swarm"]["NodeID"] == task["NodeID"])
    node.client().kill(task["Status"]["ContainerStatus"]["ContainerID"])
    turned = scene.product.wait_service(service, lambda r: r["phase"] != Phase.WATCHING)
    assert turned["deadline_at"] - 3600 < due, "the deadline is set anew in the moment when it turns round"
    ended = scene.product.wait_rollout(rollout)
    assert (ended["phase"], "during the watch" in ended["reason"]) == (Phase.ROLLED_BACK, True)
    scene.runs_everywhere(service, "1.0.0", 1)


def test_a_change_by_someone_else_becomes_a_release_and_a_rollback_goes_back_over_it(scene: Scene):
    scene.app("1.2.0")
    service = scene.create_service("foreign", scene.image("1.0.0"), 1, track="", update=FAST)
    assert scene.deploy(service, scene.image("1.1.0"))["phase"] == Phase.SUCCEEDED
    scene.bare_update(service, scene.image("1.2.0"))
    found = wait_for("the third release", lambda: next((r for r in releases(scene, service) if r["number"] == 3), None))
    assert (found["origin"], ":1.2.0@" in found["image"]) == ("changed by someone else", True)
    wait_for("it to be good", lambda: releases(scene, service)[0]["state"] == "good")
    assert scene.product.get(f"services/{service}")["release"] == 3
    assert "changed by someone else" in scene.product.cli("releases", service).stdout
    scene.product.cli("rollback", service)
    scene.runs_everywhere(service, "1.1.0", 1)
    assert [(r["number"], r["state"]) for r in releases(scene, service)] == [(3, "good"), (2, "good"), (1, "good")]
    scene.bare_update(service, scene.image("1.2.0"))
    said = f"SELECT detail FROM audit WHERE subject = '{service}' AND what = 'drift' AND detail LIKE '%runs again%'"
    assert "release 3" in wait_for("the note of it", lambda: scene.rows(said))[0]["detail"]
    assert scene.product.get(f"services/{service}")["release"] == 3


def test_a_rollout_ends_right_when_the_watcher_is_killed_in_the_middle(scene: Scene):
    scene.push(scene.image("1.1.0"))
    service = scene.create_service("killed", scene.image("1.0.0"), 3, track="", update=FAST)
    before = wait_for("the watcher", lambda: holder(scene))
    rollout = scene.product.post(f"services/{service}/deploy", image=scene.image("1.1.0"))["id"]
    wait_for("the first new task", lambda: "1.1.0" in scene.running_tags(service))
    scene.product.kill("clock")
    assert scene.product.wait_rollout(rollout)["phase"] == Phase.SUCCEEDED
    scene.runs_everywhere(service, "1.1.0", 3)
    wait_for("another watcher", lambda: holder(scene) not in ("", before))
