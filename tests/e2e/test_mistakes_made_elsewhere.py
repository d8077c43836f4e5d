"""Mistakes that others made in rollouts, each shown not to be made here, on a real swarm.

Those that it can show only by hurting its nodes, or not at all, are in tests/simulated, in a file of the same name.
docs/mistakes.md lists them all: a docstring names the mistake as that page does, and a test keeps the two in step.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodewise.domain.errors import Conflict
from nodewise.domain.rollout import Phase
from tests import others
from tests.e2e import hands
from tests.e2e.hands import tasks_of, version_of
from tests.e2e.traffic import traffic
from tests.integration.swarm_parts import private_registry
from tests.lab.lab import Lab
from tests.product import free_port, wait_for
from tests.scene import SECOND, Scene, open_scene

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.seconds(230)]

FAST = {"Monitor": SECOND}
PLAIN: dict[str, Any] = {"track": "", "checked": False, "update": FAST}


@pytest.fixture(scope="module")
def scene(_lab: Lab) -> Iterator[Scene]:
    """As every file's, with an image to look at disks with."""
    port = free_port(Lab.host)
    probe = f"{Lab.host}:{port}/probe:1"
    with open_scene("mistakes", registry_port=port, NODEWISE_PROBE_IMAGE=probe) as opened:
        opened.app("1.0.0")
        opened.app("1.1.0")
        opened.lab.build_app(probe, "probe")
        opened.push(probe)
        wait_for("all of it to be told", lambda: len(hands.outcomes(opened)) == 3)
        yield opened


# -- 1: what is reported ---------------------------------------------------------------------------------


def test_success_is_not_reported_where_swarm_has_rolled_back(scene: Scene):
    """Mistake 1 (doco-cd#1616, Dokploy#3987): every task runs again and nothing moves, so it was called a success."""
    scene.variant("1.2.0", hands.EXITS_WHEN_TOLD)
    update = {"FailureAction": "rollback", "Monitor": 60 * SECOND}
    service = scene.create_service("turned", scene.image("1.0.0"), 2, track="", checked=False, update=update)
    at_once = {"Monitor": SECOND, "Parallelism": 0}
    others.update(scene.client(), service, lambda spec: spec.update(RollbackConfig=at_once))
    rollout = hands.begin(scene, service, scene.image("1.2.0"))
    wait_for("its write", lambda: scene.inspect(service)["Spec"]["Labels"].get("nodewise.rollout") == rollout)
    with hands.looking_away(scene):
        wait_for("a new task", lambda: "1.2.0" in scene.running_tags(service))
        hands.tell_to_exit(scene, "1.2.0")
        wait_for("Swarm's rollback", lambda: scene.update_state(service) == "rollback_completed")
        scene.runs_everywhere(service, "1.0.0", 2)
    ended = scene.product.wait_rollout(rollout)
    assert ended["phase"] == Phase.ROLLED_BACK_BY_SWARM
    assert "Swarm rolled back by itself" in ended["reason"]
    assert scene.product.cli("watch", rollout, check=False).returncode != 0
    states = {r["number"]: r["state"] for r in scene.product.get(f"services/{service}/releases")["releases"]}
    assert states == {1: "good", 2: "bad"}


def test_success_is_not_reported_where_the_registry_refuses_the_login(scene: Scene, tmp_path: Path):
    """Mistake 1 (portainer#13139): the login failed, and the deploy was reported as done."""
    service = scene.create_service("refused", scene.image("1.0.0"), 1, **PLAIN)
    before = version_of(scene, service)
    with private_registry(scene.lab.host, tmp_path) as private:
        done = scene.product.cli("deploy", service, f"{private}/app:1.1.0", check=False)
    assert done.returncode != 0
    assert f"{private} refuses access" in " ".join((done.stdout + done.stderr).split())
    (refused,) = scene.product.get("rollouts", service=service)["rollouts"]
    assert refused["phase"] == Phase.FAILED
    assert version_of(scene, service) == before


def test_success_is_not_reported_on_the_old_digest(scene: Scene):
    """Mistake 1 (docker/cli#7302): the bare tag in the spec stayed as it was, nothing moved, and it had "converged"."""
    old = scene.app("main")
    service = scene.create_service("mutable", old, 0, **PLAIN)

    def bare(spec: dict[str, Any]) -> None:
        spec["TaskTemplate"]["ContainerSpec"]["Image"] = old
        spec["Mode"]["Replicated"]["Replicas"] = 2

    others.update(scene.client(), service, bare)
    scene.runs_everywhere(service, "main", 2)
    scene.lab.build_app(old, version="another main")
    digest = scene.push(old)
    assert scene.deploy(service, old)["phase"] == Phase.SUCCEEDED
    running = [t["Spec"]["ContainerSpec"]["Image"] for t in scene.tasks(service) if t["DesiredState"] == "running"]
    assert running == [f"{old}@{digest}"] * 2


# -- 2: the way back -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "kept"), [("stop-first", 2), ("start-first", 3)])
def test_a_rollback_kills_no_healthy_task(scene: Scene, order: str, kept: int):
    """Mistake 2 (moby#37972, moby#34111): the rollback replaced healthy tasks that the update had not reached."""
    scene.variant("1.3.0", "sleep 1000")
    update = {**FAST, "Order": order, "Delay": 2 * SECOND}  # without any, Swarm itself goes on before it has looked
    service = scene.create_service("healthy", scene.image("1.0.0"), 3, track="", update=update)
    before = tasks_of(scene, service)
    ended = scene.deploy(service, scene.image("1.3.0"))
    assert ended["phase"] == Phase.ROLLED_BACK
    scene.runs_everywhere(service, "1.0.0", 3)
    assert len(tasks_of(scene, service) & before) == kept


def test_a_failure_is_not_missed_where_swarm_does_not_look(scene: Scene):
    """Mistake 2 (moby#35498, moby#42875): a task that failed after Monitor and within Delay was not seen to fail."""
    scene.variant("1.4.0", "sleep 2; exit 3")
    update = {"FailureAction": "continue", "Delay": 20 * SECOND, "Monitor": SECOND}
    service = scene.create_service("unseen", scene.image("1.0.0"), 3, track="", checked=False, update=update)
    ended = scene.deploy(service, scene.image("1.4.0"))
    assert ended["phase"] == Phase.ROLLED_BACK
    assert "non-zero exit (3)" in ended["reason"]
    scene.runs_everywhere(service, "1.0.0", 3)
    assert len({t["Slot"] for t in scene.tasks(service) if ":1.4.0" in t["Spec"]["ContainerSpec"]["Image"]}) == 1


# -- 3, 4: the spec --------------------------------------------------------------------------------------


def test_a_tag_and_its_digest_do_not_flip_for_ever(scene: Scene):
    """Mistake 3 (shepherd#110, gantry#53): ``tag`` and ``tag@sha256`` were taken for two images, in turn, for ever."""
    image = scene.image("1.0.0")
    service = scene.create_service("still", image, 2, checked=False, track="same", update=FAST)
    before = version_of(scene, service), tasks_of(scene, service)
    digest = scene.push(image)  # the same once more: the registry tells of it as of any push
    told = f"SELECT 1 FROM events WHERE outcome LIKE '{service}: left alone: it runs this image already%'"
    wait_for("the event's outcome", lambda: scene.rows(told))
    for same in (image, f"{image}@{digest}", image, ""):
        ended = scene.deploy(service, same)
        assert (ended["phase"], "already" in ended["reason"]) == (Phase.SUCCEEDED, True), ended["reason"]
    assert (version_of(scene, service), tasks_of(scene, service)) == before


def test_no_field_of_the_service_is_lost(scene: Scene):
    """Mistake 4 (docker-py#1521, docker-py#1611, docker-py#1660, docker-py#2832): env, mounts, networks gone."""
    with hands.the_parts(scene) as parts, hands.raw_service(scene, hands.full_spec(scene, parts)) as service:
        first = scene.inspect(service)["Spec"]
        for tag in ("1.1.0", "1.0.0", "1.1.0"):
            assert scene.deploy(service, scene.image(tag))["phase"] == Phase.SUCCEEDED
        moved = scene.inspect(service)["Spec"]
        assert hands.differences(first, moved) == {
            "/TaskTemplate/ContainerSpec/Image",
            "/TaskTemplate/Placement/Platforms",
            "/Labels/nodewise.rollout",
        }
        back = scene.product.post(f"services/{service}/rollback", to=1)["id"]
        assert scene.product.wait_rollout(back)["phase"] == Phase.SUCCEEDED
        assert hands.differences(first, scene.inspect(service)["Spec"]) == {"/Labels/nodewise.rollout"}


# -- 6, 14: one node that cannot -------------------------------------------------------------------------


def test_a_node_that_cannot_run_the_task_does_not_stall_the_rollout(scene: Scene):
    """Mistake 6 (swarmkit#1720): an update waited without end for the one node that could not run the task."""
    ended = hands.on_one_node(scene, "1.5.0", "sleep 1000")
    assert ended["phase"] == Phase.ROLLED_BACK
    assert "the deadline of 10 s has passed" in ended["reason"]
    assert "w1 (task starting)" in ended["reason"]


def test_a_failure_on_one_node_leaves_none_on_the_new_version(scene: Scene):
    """Mistake 14 (Kamal): a failed deploy left some hosts on the new version, and nobody was told."""
    ended = hands.on_one_node(scene, "1.5.1", "exit 7")
    assert ended["phase"] == Phase.ROLLED_BACK
    assert "task on node w1 failed: task: non-zero exit (7)" in ended["reason"]


# -- 7, 8, 9: what comes in ------------------------------------------------------------------------------


def test_one_push_of_several_architectures_is_one_rollout(scene: Scene):
    """Mistake 7 (OrcaCD#264): one push, three webhooks, three deploys."""
    service = scene.create_service("architectures", scene.image("1.0.0"), 1, checked=False, update=FAST)
    known = scene.count("deliveries")
    hands.push_index(scene, "1.6.0")
    assert scene.rollout_to(service, "1.6.0")["phase"] == Phase.SUCCEEDED
    wait_for("three notifications", lambda: scene.count("deliveries") - known >= 3)
    wait_for("all of them handled", lambda: scene.count("events") == len(hands.outcomes(scene)))
    assert len(scene.product.get("rollouts", service=service)["rollouts"]) == 1
    scene.runs_everywhere(service, "1.6.0", 1)


def test_a_burst_of_tags_of_one_image_moves_the_service_once(scene: Scene):
    """Mistake 7 (OrcaCD#264): every tag of one push was a deploy of its own."""
    update = {**FAST, "Delay": 2 * SECOND}
    service = scene.create_service("burst", scene.image("1.0.0"), 2, checked=False, update=update)
    scene.tag_many(scene.image("1.1.0"), [f"1.7.{n}" for n in range(5)])
    wait_for("five events", lambda: sum(f"{service}: " in o for o in hands.outcomes(scene)) == 5)
    ended = [scene.product.wait_rollout(r["id"]) for r in scene.product.get("rollouts", service=service)["rollouts"]]
    assert sorted(r["phase"] for r in ended) == [Phase.SUCCEEDED, *[Phase.SUPERSEDED] * (len(ended) - 1)]
    moved = {t["ID"] for t in scene.tasks(service) if ":1.7." in t["Spec"]["ContainerSpec"]["Image"]}
    assert len(moved) == 2


def test_a_webhook_is_not_trusted_about_what_the_registry_has(scene: Scene):
    """Mistake 8 (keel#347): a notification of an image that is not there took the service down."""
    service = scene.create_service("trusting", scene.image("1.0.0"), 1, checked=False, update=FAST)
    before = version_of(scene, service)
    assert hands.notify(scene, "1.8.0", f"sha256:{'0' * 64}").status_code == 202
    ended = scene.rollout_to(service, "1.8.0")
    assert ended["phase"] == Phase.FAILED
    assert "has no image" in ended["reason"]
    assert version_of(scene, service) == before


def test_a_digest_in_the_place_of_a_tag_is_no_tag(scene: Scene):
    """Mistake 8 (keel#646): ``sha256:...`` came as a tag and made an image name that nobody could read."""
    digest = scene.push(scene.image("1.0.0"))
    service = scene.create_service("digest", scene.image("1.0.0"), 1, checked=False, track="glob:*", update=FAST)
    before = version_of(scene, service)
    known = scene.count("events")
    assert hands.notify(scene, digest, digest).status_code == 202
    noted = scene.product.get("deliveries")["deliveries"][0]
    assert noted["verdict"] == "unusable"
    assert digest in noted["note"]
    assert (scene.count("events"), version_of(scene, service)) == (known, before)


def test_a_tag_of_digits_is_no_port(scene: Scene):
    """Mistake 8 (Dokploy): ``app:1234`` was read as a registry's port."""
    service = scene.create_service("digits", scene.image("1.0.0"), 1, checked=False, track="glob:[0-9]*", update=FAST)
    scene.tag_many(scene.image("1.1.0"), ["1234"])
    assert scene.rollout_to(service, "1234")["phase"] == Phase.SUCCEEDED
    scene.runs_everywhere(service, "1234", 1)


def test_the_latest_of_those_that_wait_wins_and_none_is_dropped_in_silence(scene: Scene):
    """Mistake 9 (Dokploy#5166, caprover#266): what came in during a deploy was dropped, or deployed in its turn."""
    tags = ["1.9.0", "1.9.1", "1.9.2"]
    for tag in tags:
        scene.app(tag, push=False)
    update = {**FAST, "Delay": 2 * SECOND}
    service = scene.create_service("queue", scene.image("1.0.0"), 3, checked=False, update=update)
    scene.push(scene.image(tags[0]))
    wait_for("the first new task", lambda: tags[0] in scene.running_tags(service))
    for tag in tags[1:]:
        scene.push(scene.image(tag))
    latest = scene.rollout_to(service, tags[2])
    assert latest["phase"] == Phase.SUCCEEDED, latest["reason"]
    others = [r for r in scene.product.get("rollouts", service=service)["rollouts"] if r["id"] != latest["id"]]
    assert {scene.product.wait_rollout(r["id"])["phase"] for r in others} == {Phase.SUPERSEDED}
    assert sum(f"{service}: " in o for o in hands.outcomes(scene)) == 3, "each push is accounted for"
    scene.runs_everywhere(service, tags[2], 3)


# -- 10, 11: gates and persons ---------------------------------------------------------------------------


def test_an_approval_of_a_tag_does_not_cover_the_next_push_of_it(scene: Scene):
    """Mistake 10 (keel#222): once a tag was approved, so was everything that was pushed under it later."""
    scene.app("stable")
    asked = {"track": "same", "gate__approval": "true"}
    service = scene.create_service("approved", scene.image("stable"), 1, checked=False, update=FAST, **asked)
    seen = []
    for version in ("second", "third"):
        scene.lab.build_app(scene.image("stable"), version)
        digest = scene.push(scene.image("stable"))
        rollout = scene.product.wait_service(service, lambda r, digest=digest: digest in r["image"])["id"]
        hands.asks_a_person(scene, rollout)
        with pytest.raises(Conflict, match="not sha256:"):
            hands.approve(scene, rollout, seen[-1] if seen else f"sha256:{'0' * 64}")
        assert scene.product.get(f"rollouts/{rollout}")["phase"] == Phase.PREPARING
        hands.approve(scene, rollout, digest)
        assert scene.product.wait_rollout(rollout)["phase"] == Phase.SUCCEEDED
        seen.append(digest)


def test_a_breach_is_acted_upon_while_a_person_is_waited_for(scene: Scene):
    """Mistake 11 (flagger#1801): while it waited at a gate, a breach was told and nothing was done about it."""
    scene.variant("1.11.0", hands.EXITS_WHEN_TOLD)
    staged = {"strategy": "staged", "steps": "1,100%", "gate__approval": "each"}
    service = scene.create_service("waiting", scene.image("1.0.0"), 2, **PLAIN, **staged)
    before = version_of(scene, service), tasks_of(scene, service)
    rollout = hands.begin(scene, service, scene.image("1.11.0"))
    hands.asks_a_person(scene, rollout)
    hands.tell_to_exit(scene, "1.11.0")
    ended = scene.product.wait_rollout(rollout)
    assert ended["phase"] == Phase.ROLLED_BACK
    assert "non-zero exit (4)" in ended["reason"]
    assert (version_of(scene, service), tasks_of(scene, service)) == before


def test_a_rollback_after_the_promotion_is_instant(scene: Scene):
    """Mistake 11 (flagger#616): the way back after the promotion was one more rollout, with all its gates."""
    gated = {"gate__approval": "true", "watch": "1h", "min_age": "1h", "window": "!mon-sun 00:00-24:00"}
    service = scene.create_service("promoted", scene.image("1.0.0"), 1, **PLAIN, **gated)
    rollout = hands.begin(scene, service, scene.image("1.1.0"))
    hands.asks_a_person(scene, rollout)
    hands.approve(scene, rollout)
    hands.reaches(scene, rollout, Phase.WATCHING)
    back = scene.product.wait_rollout(scene.product.post(f"services/{service}/rollback")["id"])
    assert back["phase"] == Phase.SUCCEEDED
    assert scene.rows(f"SELECT 1 FROM readings WHERE rollout_id='{back['id']}'") == []
    assert scene.product.get(f"rollouts/{rollout}")["phase"] == Phase.SUPERSEDED
    scene.runs_everywhere(service, "1.0.0", 1)


def test_no_rollback_goes_over_a_migration_that_forbids_it(scene: Scene):
    """Mistake 11 (flagger#1186): the automatic rollback put old code on a database that was migrated already."""
    scene.variant("1.12.0", "sleep 1; exit 6")
    labels = {"on_failure": "freeze", "hook__before": "echo migrated"}
    update = {"FailureAction": "rollback", "Monitor": 5 * SECOND}
    service = scene.create_service("frozen", scene.image("1.0.0"), 2, track="", checked=False, update=update, **labels)
    ended = scene.deploy(service, scene.image("1.12.0"))
    assert ended["phase"] == Phase.FROZEN
    assert "non-zero exit (6)" in ended["reason"]
    wait_for("Swarm to stop as well", lambda: scene.update_state(service) != "updating")
    assert scene.update_state(service) == "paused"
    assert ":1.12.0" in scene.inspect(service)["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    refused = scene.deploy(service, scene.image("1.1.0"))
    assert (refused["phase"], "is locked" in refused["reason"]) == (Phase.FAILED, True)


# -- 12, 13: images --------------------------------------------------------------------------------------


def test_four_services_of_one_image_take_one_push_each_and_the_same(scene: Scene):
    """Mistake 12 (Dokploy#1942): four services of one image were deployed one by one, and ran different images."""
    scene.app("1.13.0", push=False)
    services = [scene.create_service(f"four-{n}", scene.image("1.0.0"), 1, checked=False, update=FAST) for n in "abcd"]
    known = scene.count("events")
    digest = scene.push(scene.image("1.13.0"))
    for service in services:
        ended = scene.rollout_to(service, "1.13.0")
        assert ended["phase"] == Phase.SUCCEEDED
        assert len(scene.product.get("rollouts", service=service)["rollouts"]) == 1
        assert scene.inspect(service)["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].endswith(digest)
        scene.runs_everywhere(service, "1.13.0", 1)
    assert scene.count("events") - known == 1


def test_a_full_disk_is_told_as_one_before_anything_moves(scene: Scene):
    """Mistake 13 (moby#41300): a full disk showed up as "No such image", in the middle of the update."""
    service = scene.create_service("full", scene.image("1.0.0"), 1, **PLAIN, disk__min_free="900TiB")
    before = version_of(scene, service)
    ended = scene.deploy(service, scene.image("1.1.0"))
    assert ended["phase"] == Phase.FAILED
    assert "free on its disk, and 921600.0 GiB are asked for" in ended["reason"]
    assert version_of(scene, service) == before


@pytest.mark.parametrize(("prepull", "phase"), [("true", Phase.FAILED), ("false", Phase.ROLLED_BACK)])
def test_an_image_that_cannot_be_pulled_is_told_with_all_that_it_may_be(scene: Scene, prepull: str, phase: Phase):
    """Mistake 13 (moby#41300): "No such image" was all that was told, whatever it was that had gone wrong."""
    tag = f"1.14.0-{prepull}"
    scene.variant(tag, f": {uuid.uuid4()}; exec /bin/sh /serve")
    hands.lose_a_layer(scene, tag)
    service = scene.create_service("lost", scene.image("1.0.0"), None, **PLAIN, prepull=prepull)
    before = version_of(scene, service)
    ended = scene.deploy(service, scene.image(tag))
    assert ended["phase"] == phase
    assert "No such image" in ended["reason"]
    assert "full disk" in ended["reason"]
    assert (version_of(scene, service) == before) is (prepull == "true")
    scene.runs_everywhere(service, "1.0.0", 5)


# -- 15, 16: requests ------------------------------------------------------------------------------------


def test_no_request_goes_to_a_task_that_is_not_ready(scene: Scene):
    """Mistake 15 (dockercloud-haproxy#4, dockercloud-haproxy#50, caddy-docker-proxy#595): they went at once."""
    scene.variant("1.15.0", "sleep 3; echo 1.15.0 >/www/version; exec /bin/sh /serve")
    with traffic(scene, scene.image("1.0.0"), 1, "start-first") as asked:
        assert scene.deploy(asked.service, scene.image("1.15.0"))["phase"] == Phase.SUCCEEDED
        asked.wait_for("1.15.0")
        assert asked.lost() == []


def test_no_request_is_lost_on_the_way_there_and_back(scene: Scene):
    """Mistake 16 (moby#30321, moby#44815): requests were lost during rolling updates."""
    with traffic(scene, scene.image("1.0.0"), 2, "stop-first") as asked:
        assert scene.deploy(asked.service, scene.image("1.1.0"))["phase"] == Phase.SUCCEEDED
        asked.wait_for("1.1.0")
        back = scene.product.post(f"services/{asked.service}/rollback")["id"]
        assert scene.product.wait_rollout(back)["phase"] == Phase.SUCCEEDED
        asked.wait_for("1.0.0")
        assert asked.lost() == []
