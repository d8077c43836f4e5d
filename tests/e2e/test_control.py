"""What a person sees and does while a rollout is on its way: plan, approve, pause, resume, abort, lock."""

from __future__ import annotations

from typing import Any

import pytest

from nodewise.domain.release import same_spec
from nodewise.domain.rollout import Phase
from tasks.preview import MARK
from tests.product import wait_for
from tests.scene import Scene

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.seconds(80)]

FAST = {"Monitor": 1_000_000_000}


def value_at(spec: dict[str, Any], path: str) -> Any:
    """The value at a path with dots between; a label's own name has dots as well."""
    if path.startswith("Labels."):
        return spec["Labels"].get(path.removeprefix("Labels."))
    found: Any = spec
    for key in path.split("."):
        found = (found or {}).get(key)
    return found


def test_a_plan_names_exactly_the_fields_that_the_deploy_then_writes(scene: Scene):
    service = scene.create_service("planned", scene.image("1.0.0"), 2, track="", update=FAST, bake="1s")
    scene.push(scene.image("1.1.0"))
    before = scene.inspect(service)
    told = scene.product.post(f"services/{service}/plan", image=scene.image("1.1.0"))
    assert scene.inspect(service)["Version"] == before["Version"], "nothing was touched"
    assert scene.product.get("rollouts", service=service)["rollouts"] == []
    done = scene.deploy(service, scene.image("1.1.0"))
    assert done["phase"] == Phase.SUCCEEDED
    after = scene.inspect(service)["Spec"]
    changes = {c["path"]: (c["old"], done["id"] if c["new"] == MARK else c["new"]) for c in told["changes"]}
    assert changes == {p: (value_at(before["Spec"], p), value_at(after, p)) for p in changes}
    for path, (old, _) in changes.items():
        put_back(after, path, old)
    assert same_spec(after, before["Spec"]), "and no other field was changed"
    assert {n["node"] for n in told["stages"][0]} <= {s["node"] for s in done["steps"]}


def put_back(spec: dict[str, Any], path: str, old: Any) -> None:
    head, keys = ("Labels", [path.removeprefix("Labels.")]) if path.startswith("Labels.") else ("", path.split("."))
    *way, last = [head, *keys] if head else keys
    holder = spec
    for key in way:
        holder = holder[key]
    if old is None:
        del holder[last]
    else:
        holder[last] = old


def test_a_staged_rollout_waits_is_held_goes_on_and_ends_as_a_person_says(scene: Scene):
    labels = {"strategy": "staged", "gate__approval": "each"}
    service = scene.create_service("staged", scene.image("1.0.0"), 2, track="", update=FAST, **labels)
    scene.push(scene.image("1.1.0"))
    rollout = scene.product.post(f"services/{service}/deploy", image=scene.image("1.1.0"))["id"]
    look = lambda: scene.product.get(f"rollouts/{rollout}")  # noqa: E731
    wait_for("the first question", lambda: look()["waits_for"] == "stage 1", 60)
    status = scene.product.cli("status", service).stdout
    assert f"nodewise approve {rollout}" in status
    assert "candidates:" in status
    (listed,) = [s for s in scene.product.get("services")["services"] if s["name"].startswith(scene.name)]
    assert len(listed["candidates"]) == 1
    assert listed["candidates"][0]["replicas"] == {"running": 1, "wanted": 1}
    assert "held: paused by" in scene.product.cli("pause", rollout).stdout
    scene.product.cli("approve", rollout)
    assert look()["phase"] == Phase.STAGING
    assert look()["steps"][1]["state"] == "waiting", "approved, and held"
    scene.product.cli("resume", rollout)
    wait_for("the second question", lambda: look()["waits_for"] == "write", 60)
    assert scene.running_tags(service) == ["1.0.0"] * 2
    scene.product.cli("approve", rollout, "--digest", look()["to_image"].partition("@")[2])
    assert scene.product.wait_rollout(rollout)["phase"] == Phase.SUCCEEDED
    scene.runs_everywhere(service, "1.1.0", 2)
    assert len(scene.services()) == 1, "the candidates are gone"
    assert "stage 1 was approved by" in scene.product.cli("watch", rollout).stdout


def test_an_aborted_rollout_is_taken_back_and_a_locked_service_is_left_alone(scene: Scene):
    service = scene.create_service("stopped", scene.image("1.0.0"), 2, track="", update=FAST, bake="30s")
    scene.push(scene.image("1.1.0"))
    rollout = scene.product.post(f"services/{service}/deploy", image=scene.image("1.1.0"))["id"]
    wait_for("the first new task", lambda: "1.1.0" in scene.running_tags(service))
    refused = scene.product.cli("pause", rollout, check=False)
    assert (refused.returncode, "cannot be held half-way" in refused.stderr) == (1, True)
    done = scene.product.cli("abort", rollout)
    assert "aborted: the release from before runs again" in done.stdout
    scene.runs_everywhere(service, "1.0.0", 2)
    scene.product.cli("lock", service, "--reason", "the database moves")
    assert "the database moves" in scene.product.cli("plan", service, scene.image("1.1.0")).stdout
    locked = scene.product.cli("deploy", service, scene.image("1.1.0"), check=False)
    assert (locked.returncode, "the database moves" in locked.stdout) == (1, True)
    scene.product.cli("unlock", service)
    assert scene.product.cli("plan", service, scene.image("1.1.0"), "--json").returncode == 0
