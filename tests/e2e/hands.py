"""What a person, a registry or a bad day does to the scene's services, for tests that need more than the API has."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import docker
import requests

from nodewise import control
from nodewise.bootstrap import build_deps
from nodewise.config.settings import Settings
from nodewise.domain.rollout import Phase
from tests.integration.every_field import every_field
from tests.product import wait_for
from tests.scene import HOOK_SECRET, SECOND, Scene

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
EXITS_WHEN_TOLD = "trap 'exit 4' USR1; while :; do sleep 0.2; done"  # a variant's command: see tell_to_exit
INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"


def begin(scene: Scene, service: str, image: str) -> str:
    return str(scene.product.post(f"services/{service}/deploy", image=image)["id"])


def reaches(scene: Scene, rollout: str, phase: Phase) -> None:
    wait_for(f"{rollout} {phase}", lambda: scene.product.get(f"rollouts/{rollout}")["phase"] == phase)


def asks_a_person(scene: Scene, rollout: str) -> None:
    asking = f"SELECT 1 FROM rollouts WHERE id='{rollout}' AND idle_since IS NOT NULL"
    wait_for(f"{rollout} to ask for approval", lambda: scene.rows(asking))


def approve(scene: Scene, rollout: str, digest: str = "") -> None:
    """A person's yes, on the product's own store. Raises Conflict."""
    hosts = tuple(node.docker_host for node in scene.lab.managers)
    deps = build_deps(Settings(data_dir=scene.product.data_dir, docker_hosts=hosts))
    try:
        control.approve(deps, rollout, "alice", digest)
    finally:
        deps.store.close()


def version_of(scene: Scene, service: str) -> int:
    return int(scene.inspect(service)["Version"]["Index"])


def tasks_of(scene: Scene, service: str) -> set[str]:
    """Ids of the tasks that run and are meant to."""
    return {t["ID"] for t in scene.tasks(service) if t["DesiredState"] == t["Status"]["State"] == "running"}


def outcomes(scene: Scene) -> list[str]:
    return [str(r["outcome"]) for r in scene.rows("SELECT outcome FROM events WHERE done_at IS NOT NULL ORDER BY id")]


@contextmanager
def looking_away(scene: Scene) -> Iterator[None]:
    """The worker stands still: whatever happens meanwhile, Nodewise sees it only afterwards."""
    pid = scene.product.pid("worker")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# -- services ---------------------------------------------------------------------------------------------


def tell_to_exit(scene: Scene, tag: str) -> None:
    """Every container of an image that runs ``EXITS_WHEN_TOLD`` fails, on whichever node: candidates as well.

    Told again until it does: a shell that has only just begun does not listen yet.
    """
    wait_for(f"containers of {tag} to exit", lambda: not _told(scene, tag))


def _told(scene: Scene, tag: str) -> int:
    """How many were there to be told."""
    count = 0
    for node in scene.lab.nodes:
        with node.client() as client:
            for container in client.containers():
                if container["Image"].startswith(f"{scene.image(tag)}@"):
                    with suppress(docker.errors.APIError):  # it has exited meanwhile
                        client.kill(container["Id"], "USR1")
                    count += 1
    return count


@contextmanager
def raw_service(scene: Scene, spec: dict[str, Any]) -> Iterator[str]:
    """A service exactly as *spec* says, gone at the end."""
    client = scene.client()
    client._result(client._post_json(client._url("/services/create"), data=spec), True)
    try:
        yield spec["Name"]
    finally:
        client.remove_service(spec["Name"])


def on_workers(scene: Scene, name: str, **labels: str) -> dict[str, Any]:
    """A service on both workers that knows its node's name, and is not healthy until it serves."""
    probe = {"Test": ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1:8080/version"], "Interval": SECOND // 2}
    container = {
        "Image": scene.pinned(scene.image("1.0.0")),
        "Env": ["NODE={{.Node.Hostname}}"],
        "StopGracePeriod": SECOND // 2,
        "Healthcheck": {**probe, "Timeout": SECOND, "Retries": 1000},
    }
    return {
        "Name": f"{scene.name}-{name}",
        "Labels": {f"nodewise.{key}": value for key, value in labels.items()},
        "TaskTemplate": {
            "ContainerSpec": container,
            "RestartPolicy": {"Condition": "any", "Delay": SECOND},
            "Placement": {"Constraints": ["node.role==worker"]},
        },
        "Mode": {"Global": {}},
        "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Monitor": SECOND},
    }


def on_one_node(scene: Scene, tag: str, command: str) -> dict[str, Any]:
    """The rollout of a release that does *command* on w1 and serves elsewhere, as the command line ends it."""
    scene.variant(tag, f'[ "$NODE" = w1 ] && {{ {command}; }}; exec /bin/sh /serve')
    with raw_service(scene, on_workers(scene, f"one-{tag[-1]}", deadline="10s")) as service:
        scene.runs_everywhere(service, "1.0.0", 2)
        done = scene.product.cli("deploy", service, scene.image(tag), check=False)
        scene.runs_everywhere(service, "1.0.0", 2)
        (ended,) = scene.product.get("rollouts", service=service)["rollouts"]
    assert done.returncode != 0
    assert "w1" in done.stdout + done.stderr, "who asked is told"
    return ended


def full_spec(scene: Scene, parts: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Every field, on ports of our own, in an order that a fixed port allows."""
    spec = every_field(scene.pinned(scene.image("1.0.0")), parts["secrets"], parts["configs"], parts["networks"]["ID"])
    spec["Name"] = f"{scene.name}-every"
    spec["UpdateConfig"]["Order"] = "stop-first"
    for port in spec["EndpointSpec"]["Ports"]:
        port["PublishedPort"] = scene.port()
    return spec


@contextmanager
def the_parts(scene: Scene) -> Iterator[dict[str, dict[str, str]]]:
    """A secret, a config and a network, gone at the end."""
    client = scene.client()
    name = f"{scene.name}-part"
    bodies: dict[str, dict[str, Any]] = {
        "secrets": {"Name": name, "Data": "eA=="},
        "configs": {"Name": name, "Data": "eA=="},
        "networks": {"Name": name, "Driver": "overlay", "CheckDuplicate": True},
    }
    made: dict[str, dict[str, str]] = {}
    try:
        for kind, body in bodies.items():
            answer = client._result(client._post_json(client._url(f"/{kind}/create"), body), json=True)
            made[kind] = {"ID": answer.get("ID") or answer["Id"], "Name": name}
        yield made
    finally:
        for kind, one in made.items():
            client._raise_for_status(client._delete(client._url(f"/{kind}/{{0}}", one["ID"])))


def differences(a: Any, b: Any, path: str = "") -> set[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        return set().union(*(differences(a.get(k), b.get(k), f"{path}/{k}") for k in a.keys() | b.keys()))
    return set() if a == b else {path}


# -- the registry -----------------------------------------------------------------------------------------


def notify(scene: Scene, tag: str, digest: str) -> requests.Response:
    """A well-signed notification, whoever it comes from."""
    path = scene.image("x").partition("/")[2].rpartition(":")[0]
    target = {"mediaType": MANIFEST, "repository": path, "tag": tag, "digest": digest}
    event = {"id": uuid.uuid4().hex, "action": "push", "target": target, "request": {"host": scene.registry.address}}
    headers = {"Authorization": f"Bearer {HOOK_SECRET}"}
    return requests.post(
        f"{scene.product.url}/hooks/distribution", json={"events": [event]}, headers=headers, timeout=10
    )


def push_index(scene: Scene, tag: str) -> None:
    """What ``docker buildx build --push`` of two platforms sends: each platform's manifest, and then the list."""
    base = f"http://{scene.registry.address}/v2/{scene.name}/app/manifests"
    with requests.Session() as http:
        listed = []
        for platform, source in (("amd64", "1.1.0"), ("arm64", "1.0.0")):
            body = http.get(f"{base}/{source}", headers={"Accept": MANIFEST}, timeout=10).content
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            http.put(f"{base}/{digest}", data=body, headers={"Content-Type": MANIFEST}, timeout=10).raise_for_status()
            described = {"mediaType": MANIFEST, "size": len(body), "digest": digest}
            listed.append({**described, "platform": {"architecture": platform, "os": "linux"}})
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed})
        http.put(f"{base}/{tag}", data=index, headers={"Content-Type": INDEX}, timeout=10).raise_for_status()


def lose_a_layer(scene: Scene, tag: str) -> None:
    """The registry still has the manifest, and no longer what it names."""
    base = f"http://{scene.registry.address}/v2/{scene.name}/app/manifests/{tag}"
    digest = requests.get(base, headers={"Accept": MANIFEST}, timeout=10).json()["config"]["digest"].partition(":")[2]
    (scene.registry.folder / f"data/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data").unlink()
