"""Nodes are cleaned of images that nobody needs, and of no other: a rollback finds its image on them afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from nodewise.bootstrap import build_deps
from nodewise.config.settings import Settings
from nodewise.domain.rollout import Phase
from tasks.clean import CLEAN
from tests import others
from tests.lab import cleaner
from tests.lab.lab import Lab
from tests.ports import free_port
from tests.product import wait_for
from tests.scene import Scene, open_scene

# Alone: what it cleans is the whole swarm, and other tests' services would be in it.
pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.slow, pytest.mark.seconds(90)]

FAST = {"Monitor": 1_000_000_000}
NODES = ("w1", "w2")


@pytest.fixture
def cleaned(_lab: Lab) -> Iterator[Scene]:
    """A scene whose product cleans nodes."""
    port = free_port(_lab.host)
    image = f"{_lab.host}:{port}/nodewise/clean:1"
    socket = "/run/nodewise-lab/{{.Node.Hostname}}/docker.sock"
    made = open_scene("cleaning", registry_port=port, NODEWISE_CLEAN_IMAGE=image, NODEWISE_CLEAN_SOCKET=socket)
    with made as scene:
        client = scene.client()
        cleaner.build(client, image)
        said = client.push(image, stream=True, decode=True, auth_config={"username": ""})
        assert any(line.get("aux") for line in said)
        yield scene


def clean(scene: Scene) -> str:
    """One round, asked for as the sweep does. What the audit says of it."""
    deps = build_deps(Settings(data_dir=scene.product.data_dir))
    try:
        deps.store.put_jobs([CLEAN], deps.clock.now())
    finally:
        deps.store.close()
    rows = "SELECT detail FROM audit WHERE what = 'clean' ORDER BY seq DESC"
    return str(wait_for("the nodes to be cleaned", lambda: scene.rows(rows), 120)[0]["detail"])


def has(node: docker.APIClient, image: str) -> bool:
    try:
        node.inspect_image(image)
    except docker.errors.ImageNotFound:
        return False
    return True


def by_digest(scene: Scene, image: str) -> str:
    name, _, digest = scene.pinned(image).partition("@")
    return f"{name.rpartition(':')[0]}@{digest}"


def pull(node: docker.APIClient, image: str) -> str:
    for line in node.pull(image, stream=True, decode=True, auth_config={"username": ""}):
        assert "error" not in line, line
    return image


def test_nodes_lose_what_nobody_needs_and_a_rollback_needs_no_registry_afterwards(cleaned: Scene):
    scene = cleaned
    service = scene.create_service("app", scene.app("1.0.0"), None, track="", checked=False, update=FAST, on=NODES)
    for tag in ("1.1.0", "1.2.0"):
        assert scene.deploy(service, scene.app(tag))["phase"] == Phase.SUCCEEDED
    with scene.lab["w1"].client() as w1, scene.lab["w2"].client() as w2:
        useless, used, named = (by_digest(scene, scene.app(tag)) for tag in ("0.1.0", "0.2.0", "0.3.0"))
        for image in (useless, used):
            pull(w1, image)
        container = w1.create_container(used, name=f"{scene.name}-used")
        pull(w2, scene.image("0.3.0"))
        try:
            said = clean(scene)
            wait_for("its jobs to be gone", lambda: not scene.client().services(filters={"label": "nodewise.helper"}))
            assert "w1: 1 of" in said
            assert "w2:" not in said
            assert not has(w1, useless)
            assert has(w1, used), "a container has it, though it does not run"
            assert has(w2, named), "somebody has pulled it by its tag"
            for node in (w1, w2):
                assert all(has(node, by_digest(scene, scene.image(tag))) for tag in ("1.0.0", "1.1.0", "1.2.0"))
        finally:
            w1.remove_container(container)
            w1.remove_image(used)
            w2.remove_image(scene.image("0.3.0"))
    scene.registry.stop()
    others.roll_back(scene.client(), service)
    scene.runs_everywhere(service, "1.1.0", 2)
    ended = scene.product.wait_rollout(scene.product.post(f"services/{service}/rollback")["id"])
    assert ended["phase"] == Phase.SUCCEEDED, ended["reason"]
    scene.runs_everywhere(service, "1.0.0", 2)
