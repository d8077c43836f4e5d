"""Rolling rollouts: what is followed, what turns one round, and how each one ends."""

from __future__ import annotations

import pytest
import requests

from nodewise.domain.rollout import Phase
from tests.product import wait_for
from tests.scene import Scene, moment, tag_of

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.seconds(150)]

FAST = {"Monitor": 1_000_000_000}


def test_every_policy_follows_its_tags_and_a_service_without_one_is_left_alone(scene: Scene):
    old = scene.image("1.0.0")
    wanted = {"semver": "semver:^1", "glob": "glob:1.*", "regex": r"regex:1\.(\d+)\.0", "same": "same"}
    services = {n: scene.create_service(n, old, 1, track=t, update=FAST) for n, t in wanted.items()}
    alone = {
        "untracked": scene.create_service("untracked", old, 1, track=""),
        "other": scene.create_service("other", old, 1, track="semver:^2"),
        "wrong": scene.create_service("wrong", old, 1, track="semvre:^1"),
    }
    scene.push(scene.image("1.1.0"))
    for name in ("semver", "glob", "regex"):
        assert scene.rollout_to(services[name], "1.1.0")["phase"] == Phase.SUCCEEDED, name
        scene.runs_everywhere(services[name], "1.1.0", 1)
    for service in (*alone.values(), services["same"]):
        assert scene.running_tags(service) == ["1.0.0"]
        assert scene.product.get("rollouts", service=service)["rollouts"] == []
    delivery = next(d for d in scene.product.get("deliveries")["deliveries"] if d["verdict"] == "accepted")
    (event,) = scene.product.get(f"deliveries/{delivery['id']}")["events"]
    for service, why in (
        (alone["untracked"], "it has no nodewise.track"),
        (alone["other"], "tag 1.1.0 does not match semver:^2"),
        (alone["wrong"], "misconfigured"),
        (services["same"], "tag 1.1.0 does not replace 1.0.0"),
    ):
        assert f"{service}: left alone" in event["outcome"]
        assert why in event["outcome"]
    (problem,) = scene.product.get(f"services/{alone['wrong']}")["problems"]
    assert (problem["label"], problem["value"], problem["nearest"]) == ("nodewise.track", "semvre:^1", "semver")
    assert "semvre:^1" in scene.product.cli("status").stdout


def test_a_tag_pushed_again_with_another_digest_is_followed_by_same(scene: Scene):
    scene.app("main")
    service = scene.create_service("moving", scene.image("main"), 1, track="same", update=FAST)
    before = scene.inspect(service)["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    scene.lab.build_app(scene.image("main"), version="another main")
    digest = scene.push(scene.image("main"))
    wait_for(
        "the new digest", lambda: scene.inspect(service)["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] != before
    )
    ended = scene.product.wait_service(service, lambda r: digest in r["image"] and r["ended_at"])
    assert ended["phase"] == Phase.SUCCEEDED


def test_nodes_move_one_by_one_and_every_gate_has_been_read_on_each(scene: Scene):
    """Not a global service: others on this swarm come and go with networks, which moves its tasks (docs/rollout.md)."""
    port = scene.port()
    gate = {"gate__http__url": f"http://{{node}}:{port}/cgi-bin/health", "gate__http__interval": "500ms"}
    service = scene.create_service("spread", scene.image("1.0.0"), 5, port=port, update=FAST, **gate)
    ended = scene.deploy(service, scene.image("1.1.0"))
    assert ended["phase"] == Phase.SUCCEEDED, ended["reason"]
    scene.runs_everywhere(service, "1.1.0", 5)
    assert [s["state"] for s in ended["steps"]] == ["passed"] * 5
    new = [t for t in scene.tasks(service) if tag_of(t["Spec"]["ContainerSpec"]["Image"]) == "1.1.0"]
    created = sorted(moment(t["CreatedAt"]) for t in new)
    running = sorted(moment(t["Status"]["Timestamp"]) for t in new)
    one_by_one = all(ran < begun for ran, begun in zip(running, created[1:], strict=False))
    assert one_by_one, f"one runs before the next begins: {[(t['CreatedAt'], t['Status']) for t in new]}"
    nodes = {
        r["node_id"] for r in scene.rows(f"SELECT * FROM readings WHERE rollout_id='{ended['id']}' AND gate='http'")
    }
    assert len(nodes) == 5
    assert all(requests.get(f"http://{a}:{port}/version", timeout=60).text == "1.1.0\n" for a in scene.addresses())


def test_a_gate_that_fails_takes_the_rollout_back_and_says_why(scene: Scene):
    scene.app("1.2.0", broken=True)
    port = scene.port()
    # The time an answer may take stands between two nodes as well: on a busy machine the veto needs some of it.
    gate = {"gate__http__interval": "300ms", "gate__http__timeout": "6s"}
    gate["gate__http__url"] = f"http://{{node}}:{port}/cgi-bin/health"
    service = scene.create_service("gated", scene.image("1.0.0"), 3, port=port, update=FAST, **gate)
    ended = scene.deploy(service, scene.image("1.2.0"))
    assert ended["phase"] == Phase.ROLLED_BACK
    assert "gate http failed" in ended["reason"]
    assert "500" in ended["reason"]
    assert "serving version 1.2.0" in ended["evidence"]
    scene.runs_everywhere(service, "1.0.0", 3)
    broken = [t for t in scene.tasks(service) if ":1.2.0" in t["Spec"]["ContainerSpec"]["Image"]]
    assert len({t["NodeID"] for t in broken}) == 1, "one node only has ever seen the broken release"
    states = {r["number"]: r["state"] for r in scene.product.get(f"services/{service}/releases")["releases"]}
    assert states == {1: "good", 2: "bad"}


def test_a_digest_that_was_taken_back_is_not_tried_again_by_an_event(scene: Scene):
    scene.app("1.3.0", push=False)
    scene.variant("1.3.0", "echo broken; exit 3")
    service = scene.create_service("again", scene.image("1.0.0"), 1, update=FAST)
    assert scene.deploy(service, scene.image("1.3.0"))["phase"] == Phase.ROLLED_BACK
    first = scene.product.get("rollouts", service=service)["rollouts"][0]["id"]
    scene.tag_many(scene.image("1.3.0"), ["1.3.1"])
    refused = scene.rollout_to(service, "1.3.1")
    assert refused["phase"] == Phase.FAILED
    assert f"locked by nodewise: {first} was taken back" in refused["reason"]


def test_a_task_that_ends_takes_the_rollout_back_with_its_exit_code_and_last_words(scene: Scene):
    scene.variant("1.4.0", "echo cannot find the configuration; exit 3")
    service = scene.create_service("crash", scene.image("1.0.0"), 2, update=FAST)
    ended = scene.deploy(service, scene.image("1.4.0"))
    assert ended["phase"] == Phase.ROLLED_BACK
    assert "non-zero exit (3)" in ended["reason"]
    assert "cannot find the configuration" in ended["evidence"]
    scene.runs_everywhere(service, "1.0.0", 2)


def test_a_passed_deadline_takes_the_rollout_back(scene: Scene):
    scene.variant("1.5.0", "sleep 1000")
    port = scene.port()
    gate = {"gate__http__url": f"http://{{node}}:{port}/version"}
    service = scene.create_service(
        "late", scene.image("1.0.0"), 1, port=port, checked=False, update=FAST, deadline="15s", **gate
    )
    ended = scene.deploy(service, scene.image("1.5.0"))
    assert ended["phase"] == Phase.ROLLED_BACK
    assert "the deadline of 15 s has passed" in ended["reason"]
    scene.runs_everywhere(service, "1.0.0", 1)


def test_swarms_own_rollback_is_told_as_what_it_is(scene: Scene):
    scene.variant("1.6.0", "exit 4")
    native = {"Monitor": 1_000_000_000, "FailureAction": "rollback"}
    service = scene.create_service("native", scene.image("1.0.0"), 2, update=native)
    ended = scene.deploy(service, scene.image("1.6.0"))
    assert ended["phase"] in (Phase.ROLLED_BACK_BY_SWARM, Phase.ROLLED_BACK), "whoever saw it first"
    scene.runs_everywhere(service, "1.0.0", 2)


def test_a_change_by_someone_else_in_the_middle_ends_the_rollout_and_is_not_undone(scene: Scene):
    scene.push(scene.image("1.1.0"))
    scene.app("9.9.9")
    service = scene.create_service("touched", scene.image("1.0.0"), 3, track="", update=FAST)
    rollout = scene.product.post(f"services/{service}/deploy", image=scene.image("1.1.0"))["id"]
    wait_for("the first new task", lambda: "1.1.0" in scene.running_tags(service))
    scene.bare_update(service, scene.image("9.9.9"))
    ended = scene.product.wait_rollout(rollout)
    assert ended["phase"] == Phase.CHANGED
    assert "changed by someone else" in ended["reason"]
    scene.runs_everywhere(service, "9.9.9", 3)


def test_a_newer_push_takes_over_from_the_one_on_its_way_and_replaces_the_one_that_waits(scene: Scene):
    service = scene.create_service("busy", scene.image("1.0.0"), 2, update=FAST)
    scene.push(scene.image("1.1.0"))
    wait_for("the first new task", lambda: "1.1.0" in scene.running_tags(service))
    scene.app("1.7.0")
    scene.app("1.8.0")
    assert scene.rollout_to(service, "1.8.0")["phase"] == Phase.SUCCEEDED
    assert scene.rollout_to(service, "1.1.0")["phase"] in (Phase.SUPERSEDED, Phase.SUCCEEDED), "or it was quicker"
    assert scene.rollout_to(service, "1.7.0")["phase"] in (Phase.SUPERSEDED, Phase.SUCCEEDED)
    scene.runs_everywhere(service, "1.8.0", 2)


def test_a_tag_that_is_not_there_is_refused_and_touches_nothing(scene: Scene):
    service = scene.create_service("missing", scene.image("1.0.0"), 1)
    version = scene.inspect(service)["Version"]["Index"]
    done = scene.product.cli("deploy", service, scene.image("7.7.7"), "--json", check=False)
    assert done.returncode != 0
    assert "7.7.7" in done.stdout + done.stderr
    assert scene.inspect(service)["Version"]["Index"] == version


def test_a_registry_that_does_not_answer_is_waited_for_and_nothing_is_touched_meanwhile(scene: Scene):
    service = scene.create_service("away", scene.image("1.0.0"), 1)
    version = scene.inspect(service)["Version"]["Index"]
    rollout = scene.product.post(f"services/{service}/deploy", image="no-such-registry.invalid/app:1")["id"]
    why = f"SELECT last_error FROM outbox WHERE subject='{rollout}' AND last_error != ''"
    assert "no-such-registry.invalid" in wait_for("a first attempt", lambda: scene.rows(why))[0]["last_error"]
    assert scene.product.get(f"rollouts/{rollout}")["phase"] == Phase.PENDING
    assert scene.inspect(service)["Version"]["Index"] == version
