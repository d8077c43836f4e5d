"""Rollbacks by hand: they have to work when everything else is on fire."""

from __future__ import annotations

import pytest
import requests

from nodewise.domain.rollout import Phase
from tests import others
from tests.product import wait_for
from tests.scene import Scene

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.seconds(120)]

FAST = {"Monitor": 1_000_000_000}


@pytest.fixture
def three(scene: Scene) -> str:
    """A service that has run 1.0.0, 1.1.0 and now 1.2.0."""
    return with_history(scene, 1)


def with_history(scene: Scene, replicas: int) -> str:
    service = scene.create_service("app", scene.image("1.0.0"), replicas, track="", checked=False, update=FAST)
    for tag in ("1.1.0", "1.2.0"):
        assert scene.deploy(service, scene.app(tag))["phase"] == Phase.SUCCEEDED
    return service


def back(scene: Scene, service: str, **body: int) -> dict:
    return scene.product.wait_rollout(scene.product.post(f"services/{service}/rollback", **body)["id"])


def test_a_rollback_goes_to_the_release_before_and_the_next_one_further_back(scene: Scene, three: str):
    done = scene.product.cli("rollback", three)
    assert "succeeded" in done.stdout
    scene.runs_everywhere(three, "1.1.0", 1)
    assert back(scene, three)["phase"] == Phase.SUCCEEDED
    scene.runs_everywhere(three, "1.0.0", 1)
    refused = back(scene, three)
    assert (refused["phase"], "no earlier good release" in refused["reason"]) == (Phase.FAILED, True)


def test_a_rollback_goes_to_any_release_by_its_number(scene: Scene, three: str):
    scene.product.cli("rollback", three, "--to", "1")
    scene.runs_everywhere(three, "1.0.0", 1)
    scene.product.cli("rollback", three, "--to", "3")
    scene.runs_everywhere(three, "1.2.0", 1)
    answer = requests.post(
        f"{scene.product.url}/api/v1/services/{three}/rollback", json={"to": 99}, headers=scene.product.auth, timeout=60
    )
    assert answer.status_code == 404
    assert "has no release 99" in answer.json()["detail"]
    assert answer.json()["hint"] == "there are: 1 to 3"


def test_a_rollback_takes_over_from_a_rollout_on_its_way(scene: Scene):
    three = with_history(scene, 2)
    rollout = scene.product.post(f"services/{three}/deploy", image=scene.app("1.3.0"))["id"]
    wait_for("the first new task", lambda: "1.3.0" in scene.running_tags(three))
    assert back(scene, three)["phase"] == Phase.SUCCEEDED
    scene.runs_everywhere(three, "1.2.0", 2)
    assert scene.product.wait_rollout(rollout)["phase"] == Phase.SUPERSEDED


def test_a_rollback_needs_no_registry(scene: Scene, three: str):
    scene.registry.stop()
    try:
        ended = back(scene, three)
    finally:
        scene.registry.start()
    assert ended["phase"] == Phase.SUCCEEDED, ended["reason"]
    scene.runs_everywhere(three, "1.1.0", 1)


def test_a_rollback_works_after_a_native_one(scene: Scene, three: str):
    others.roll_back(scene.client(), three)
    scene.runs_everywhere(three, "1.1.0", 1)
    assert back(scene, three)["phase"] == Phase.SUCCEEDED
    scene.runs_everywhere(three, "1.0.0", 1)
    assert back(scene, three, to=3)["phase"] == Phase.SUCCEEDED
    scene.runs_everywhere(three, "1.2.0", 1)


def test_a_rollback_can_be_enqueued_while_the_web_process_is_away(scene: Scene, three: str):
    env = dict(scene.product.env)
    scene.product.env["NODEWISE_URL"] = "http://127.0.0.1:1"
    try:
        away = scene.product.cli("rollback", three, check=False)
        assert away.returncode != 0
        assert "--local" in away.stdout + away.stderr
        done = scene.product.cli("--local", "rollback", three)
    finally:
        scene.product.env.clear()
        scene.product.env.update(env)
    assert "succeeded" in done.stdout
    scene.runs_everywhere(three, "1.1.0", 1)


def test_a_rollback_keeps_the_scale_that_was_set_since(scene: Scene, three: str):
    others.scale(scene.client(), three, 2)
    scene.runs_everywhere(three, "1.2.0", 2)
    assert back(scene, three)["phase"] == Phase.SUCCEEDED
    scene.runs_everywhere(three, "1.1.0", 2)
