"""Nodewise as its real callers call it: programs of Debian's packages, and the libraries that senders use."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks import Webhook

from nodewise.domain.rollout import Kind, Phase
from tests.e2e.clients import DOCKER, Alertmanager, GitServer, docker_push, git_over_http
from tests.gitrepo import Repository
from tests.integration.gate_parts import need
from tests.lab.app import fill
from tests.lab.lab import Lab
from tests.product import free_port, wait_for
from tests.scene import Scene, open_scene

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.seconds(60)]

SECRET = "secret-of-the-real-clients"
WHSEC = "whsec_" + base64.b64encode(b"secret of the standard webhooks").decode()
FIELDS = {"repository": "artifact.name", "tag": "artifact.tag", "digest": "artifact.digest"}
FAST = {"Monitor": 1_000_000_000}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def git_server(_lab: Lab, folder: Path) -> Iterator[GitServer]:
    with git_over_http(folder, _lab.host) as server:
        yield server


@pytest.fixture(scope="module")
def scene(_lab: Lab, git_server: GitServer) -> Iterator[Scene]:
    port = free_port(_lab.host)
    hooks = {
        "git": {"provider": "git", "secrets": [SECRET]},
        "alertmanager": {"provider": "alertmanager", "secrets": [SECRET]},
        "cloudevents": {"provider": "cloudevents", "secrets": [SECRET], "types": ["example.image.*"], "fields": FIELDS},
        "standard-webhooks": {"provider": "standard-webhooks", "secrets": [WHSEC]},
    }
    build = {
        "git": f"{git_server.url}/app.git",
        "refs": ["refs/tags/v*"],
        "image": f"{_lab.host}:{port}/built/app:{{version}}",
    }
    with open_scene("clients", config={"hooks": hooks, "builds": {"app": build}}, registry_port=port) as opened:
        opened.app("1.0.0")
        opened.app("1.1.0")
        yield opened


def deliveries(scene: Scene, hook: str, *verdicts: str) -> list[dict[str, Any]]:
    """What came in at *hook*, oldest first, with its events; ``verdicts``: only those."""
    found = [d for d in reversed(scene.product.get("deliveries", limit=200)["deliveries"]) if d["hook"] == hook]
    wanted = [d for d in found if not verdicts or d["verdict"] in verdicts]
    return [scene.product.get(f"deliveries/{d['id']}") for d in wanted]


def events(scene: Scene, hook: str, **data: str) -> list[dict[str, Any]]:
    """The events with such data, oldest first, of accepted deliveries, once it is known what came of them."""
    found = [e for d in deliveries(scene, hook, "accepted") for e in d["events"]]
    return [e for e in found if e["done_at"] and data.items() <= e["data"].items()]


def begun(scene: Scene, service: str) -> dict[str, Any]:
    """The one rollout of *service*, once it is planned."""
    scene.product.wait_service(service, lambda r: r["from_image"])
    (only,) = rollouts(scene, service)
    return only


def rollouts(scene: Scene, service: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scene.product.get("rollouts", service=service)["rollouts"]
    return found


# -- a registry, told of docker push ---------------------------------------------------------------


def test_docker_push_rolls_out_and_the_same_image_pushed_again_starts_nothing(scene: Scene, tmp_path: Path):
    need(DOCKER)
    service = scene.create_service("pushed", scene.image("1.0.0"), 2, update=FAST)
    image = scene.app("1.2.0", push=False)
    host = scene.lab["m1"].docker_host
    said = docker_push(host, image, tmp_path)
    ended = scene.rollout_to(service, "1.2.0")
    assert ended["phase"] == Phase.SUCCEEDED
    scene.runs_everywhere(service, "1.2.0", 2)
    (event,) = events(scene, "distribution", tag="1.2.0")
    assert f"digest: {event['data']['digest']} " in said
    assert ended["to_image"] == f"{image}@{event['data']['digest']}"
    assert event["outcome"] == f"{service}: rollout {ended['id']}"

    docker_push(host, image, tmp_path)
    again = wait_for("the second push to be told", lambda: events(scene, "distribution", tag="1.2.0")[1:])
    assert "left alone: it runs this image already" in again[0]["outcome"]
    assert [r["id"] for r in rollouts(scene, service)] == [ended["id"]]


# -- git over HTTP, with the shipped hook ----------------------------------------------------------


@pytest.fixture(scope="module")
def repository(scene: Scene, git_server: GitServer, folder: Path) -> Repository:
    (folder / "secret").write_text(SECRET)
    made = Repository(folder / "app.git", folder / "clone", f"{scene.product.url}/hooks/git", folder / "secret")
    url = f"{git_server.url}/app.git"
    made.git("remote", "set-url", "origin", url)
    made.configure("nodewise.repository", url)
    fill(made.clone, "1.1.0")
    made.commit("Sell hats")
    return made


def test_git_push_over_http_is_built_and_rolled_out_and_says_so_on_the_terminal(scene: Scene, repository: Repository):
    first = f"{scene.registry.address}/built/app:1.0.0"
    scene.lab.build_app(first, "1.0.0")
    scene.push_and_wait(first)
    service = scene.create_service("built", first, 1, update=FAST)
    repository.git("tag", "-a", "v1.1.0", "-m", "one more")
    terminal = repository.git("push", "origin", "main", "v1.1.0")
    ended = scene.rollout_to(service, "1.1.0")
    assert ended["phase"] == Phase.SUCCEEDED
    scene.runs_everywhere(service, "1.1.0", 1)
    assert len(rollouts(scene, service)) == 1, "the registry tells of the same image"

    (delivery,) = deliveries(scene, "git")
    assert f"remote: nodewise: {delivery['id']} accepted" in terminal
    both = wait_for("both refs to be looked at", lambda: (found := events(scene, "git"))[1:] and found)
    outcomes = {e["data"]["ref"]: e["outcome"] for e in both}
    assert "app: build b-" in outcomes["refs/tags/v1.1.0"]
    assert "refs/heads/main does not match refs/tags/v*" in outcomes["refs/heads/main"]
    (build,) = scene.product.get("builds")["builds"]
    assert build["commit"] == repository.git("rev-parse", "HEAD"), "not the object of the tag"
    assert build["digest"] in ended["to_image"]


def test_a_branch_that_no_build_asks_for_and_a_deleted_tag_start_nothing(scene: Scene, repository: Repository):
    repository.git("tag", "w1")
    repository.git("push", "-q", "origin", "w1")
    builds = scene.count("builds")
    repository.commit("work")
    repository.git("push", "origin", "main:work")
    for ref in ("refs/tags/w1", "refs/heads/work"):
        (event,) = wait_for(f"{ref} to be looked at", lambda ref=ref: events(scene, "git", ref=ref))
        assert f"{ref} does not match refs/tags/v*" in event["outcome"]
    terminal = repository.git("push", "origin", ":w1")
    last = deliveries(scene, "git")[-1]
    assert f"remote: nodewise: {last['id']} ignored refs/tags/w1 was deleted" in terminal
    assert (last["verdict"], last["events"]) == ("ignored", [])
    assert scene.count("builds") == builds


# -- Prometheus and Alertmanager -------------------------------------------------------------------


def test_an_alert_within_the_watch_rolls_back_once_however_often_it_is_told(scene: Scene, tmp_path: Path):
    """The release begins to count errors after it has come up, and the rules look at some seconds at a time: so they
    fire on for a while after the service was taken back.
    """
    need("prometheus", "prometheus-alertmanager")
    service, port = f"{scene.name}-alerted", scene.port()
    errors = {"expr": "max(max_over_time(app_errors[10s])) > 0", "labels": {"nodewise_service": service}}
    rules = [
        {"alert": "AppErrors", "annotations": {"summary": "AppErrors: {{ $value }} errors counted"}, **errors},
        {"alert": "AppErrorsGoOn", "for": "1s", **errors},
    ]
    receiver = {
        "url": f"{scene.product.url}/hooks/alertmanager",
        "http_config": {"basic_auth": {"username": "alertmanager", "password": SECRET}},
    }
    target = f"{scene.lab['w1'].address}:{port}"
    with Alertmanager(tmp_path, receiver).running([target], rules) as alertmanager:
        scene.create_service("alerted", scene.image("1.0.0"), 1, port=port, update=FAST, on=["w1"], watch="1h")
        rollout = scene.product.post(f"services/{service}/deploy", image=scene.image("1.1.0"))["id"]
        scene.product.wait_service(service, lambda r: r["phase"] == Phase.WATCHING)
        count_errors(scene, service)
        back = scene.product.wait_service(service, lambda r: r["kind"] == Kind.ROLLBACK and r["ended_at"])
        resolved = wait_for("the end of the alerts", lambda: deliveries(scene, "alertmanager", "ignored"))
        told_in_all = alertmanager.count("alertmanager_notifications_total")
        assert alertmanager.count("alertmanager_notification_requests_failed_total") == 0

    assert back["phase"] == Phase.SUCCEEDED
    assert scene.product.get(f"rollouts/{rollout}")["phase"] == Phase.SUPERSEDED
    scene.runs_everywhere(service, "1.0.0", 1)
    both = wait_for("both alerts to be looked at", lambda: (e := events(scene, "alertmanager"))[1:] and e)
    ours, other = sorted(both, key=lambda e: "left alone" in e["outcome"])
    assert {e["data"]["summary"] for e in both} == {"AppErrors: 1 errors counted", "AppErrorsGoOn"}
    assert ours["outcome"] == f"{service}: rollback {back['id']}"
    assert other["outcome"].startswith(f"{service}: left alone")
    first = deliveries(scene, "alertmanager", "accepted")[0]
    assert back["origin"] == f"alertmanager {first['id']}: {ours['data']['summary']}"
    assert [d["note"] for d in resolved] == ["resolved alerts are not used"] * len(resolved)
    assert told_in_all > len(deliveries(scene, "alertmanager")), "it was told of again, which was no other delivery"
    assert [r["kind"] for r in rollouts(scene, service)] == [Kind.ROLLBACK, Kind.DEPLOY]


def count_errors(scene: Scene, service: str) -> None:
    """The app's own metric, written by the app's own task."""
    with scene.lab["w1"].client() as client:
        (task,) = client.containers(filters={"label": f"com.docker.swarm.service.name={service}"})
        script = ["/bin/sh", "-c", "echo app_errors 1 > /www/metrics.txt"]
        client.exec_start(client.exec_create(task["Id"], script)["Id"])


# -- libraries -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encode", [to_structured_event, to_binary_event])
def test_an_event_of_the_cloudevents_library_starts_a_rollout(scene: Scene, encode: Callable[..., HTTPMessage]):
    mode = encode.__name__.split("_")[1]
    service = scene.create_service(mode, scene.image("1.0.0"), 1, checked=False, update=FAST)
    wanted = scene.pinned(scene.image("1.1.0"))
    repository, digest = scene.image("1.1.0").rpartition(":")[0], wanted.partition("@")[2]
    about = {"id": mode, "source": "https://ci.example/app", "type": "example.image.published"}
    message = encode(CloudEvent(about, {"artifact": {"name": repository, "tag": "1.1.0", "digest": digest}}))
    headers = {**message.headers, "Authorization": f"Bearer {SECRET}"}
    answer = requests.post(f"{scene.product.url}/hooks/cloudevents", message.body, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["verdict"]) == (202, "accepted")
    rollout = begun(scene, service)
    assert (rollout["to_image"], rollout["origin"]) == (wanted, f"cloudevents {answer.json()['delivery']}")


def test_what_the_standard_webhooks_library_signs_starts_a_rollout_and_another_secret_is_refused(scene: Scene):
    service = scene.create_service("standard", scene.image("1.0.0"), 1, checked=False, update=FAST)
    body = f'{{"image": "{scene.image("1.1.0")}"}}'

    def post(id_: str, secret: str) -> requests.Response:
        now = datetime.now(UTC)
        headers = {
            "webhook-id": id_,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(id_, now, body),
        }
        return requests.post(f"{scene.product.url}/hooks/standard-webhooks", body, headers=headers, timeout=60)

    assert post("msg_1", "whsec_" + base64.b64encode(b"of another").decode()).status_code == 401
    assert deliveries(scene, "standard-webhooks") == []
    answer = post("msg_1", WHSEC)
    assert (answer.status_code, answer.json()["verdict"]) == (202, "accepted")
    rollout = begun(scene, service)
    assert rollout["to_image"] == scene.pinned(scene.image("1.1.0"))
    assert rollout["origin"] == f"standard-webhooks {answer.json()['delivery']}"
