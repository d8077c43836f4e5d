"""The product as its own stack: its image built, deployed with docker stack deploy, and one push through it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from tests.lab import base_image
from tests.lab.app import build
from tests.lab.lab import Lab, lab_dir
from tests.lab.node import Node
from tests.lab.turns import one_at_a_time
from tests.product import ROOT, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.seconds(240)]

STACK = "nodewise-under-test"
CLI = "/usr/bin/docker"


class Stack:
    """The stack on the first manager, seen from outside."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node = node
        self.folder = folder
        self.registry = f"{node.address}:5000"
        self.url = f"http://{node.address}:8420"

    def docker(self, *arguments: str, **env: str) -> str:
        command = [CLI, "-H", self.node.docker_host, *arguments]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, f"{arguments}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout.strip()

    def up(self, base: str) -> None:
        self.docker("build", "-q", "--network", "host", "--build-arg", f"BASE={base}", "-t", "nodewise:test", ".")
        for name in ("registry_hook", "git_hook"):
            (self.folder / name).write_text(f"secret-of-{name}")
            self.docker("secret", "create", name, str(self.folder / name))
        config = self.folder / "nodewise.yaml"
        config.write_text(
            "hooks:\n"
            "  distribution: {provider: distribution, secrets_files: [/run/secrets/registry_hook]}\n"
            "  git: {provider: git, secrets_files: [/run/secrets/git_hook]}\n"
        )
        images = {"NODEWISE_IMAGE": "nodewise:test", "REDIS_IMAGE": base, "REGISTRY_IMAGE": f"{base}-registry"}
        recipe = self.folder / "Dockerfile"  # the official image's entry point, on the lab's base
        recipe.write_text(f'FROM {base}\nENTRYPOINT ["docker-registry", "serve"]\n')
        self.docker("build", "-q", "-t", images["REGISTRY_IMAGE"], "-f", str(recipe), str(self.folder))
        self.docker(
            "stack", "deploy", "--resolve-image", "never", "-c", "docker-compose.yml", STACK,
            NODEWISE_FILE=str(config), DOCKER_SOCKET=self.node.docker_host.removeprefix("unix://"), **images,
        )  # fmt: skip

    def down(self) -> None:
        """Everything of the stack gone, whoever left it: a run that was killed takes nothing down."""
        self.docker("stack", "rm", STACK)  # no error where there is none
        client = self.node.client()

        def gone() -> bool:
            label = f"com.docker.stack.namespace={STACK}"
            return not client.containers(filters={"label": label}) and not client.networks(filters={"label": label})

        wait_for("the stack to be gone", gone, 120)
        for service in client.services():
            if service["Spec"]["Name"] == "tracked":
                client.remove_service(service["ID"])
        for secret in client.secrets():
            if secret["Spec"]["Name"] in ("registry_hook", "git_hook"):
                client.remove_secret(secret["ID"])
        wait_for("its volumes to be free", self._volumes_gone, 60)

    def _volumes_gone(self) -> bool:
        client = self.node.client()
        for volume in client.volumes(filters={"name": STACK})["Volumes"] or []:
            try:
                client.remove_volume(volume["Name"])
            except docker.errors.APIError:
                return False
        return True

    def answers(self) -> bool:
        try:
            registry = requests.get(f"http://{self.registry}/v2/", timeout=2).ok
            checks = requests.get(f"{self.url}/readyz", timeout=2).json()["checks"]
        except (requests.RequestException, ValueError, KeyError):
            return False
        return registry and all(c["ok"] for c in checks.values())

    def inside(self, service: str, *command: str) -> str:
        """Run a command in the service's container, as docker exec does."""
        client = self.node.client()
        (container,) = client.containers(filters={"label": f"com.docker.swarm.service.name={STACK}_{service}"})
        return self.docker("exec", container["Id"], *command)

    def get(self, token: str, path: str) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/api/v1/{path}", headers={"Authorization": f"Bearer {token}"}, timeout=10)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def stack(_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    lab = Lab.up()
    made = Stack(lab["m1"], tmp_path_factory.mktemp("stack"))
    with one_at_a_time("stack"):
        made.down()
        try:
            made.up(base_image.ensure(lab["m1"], lab_dir()))
            yield made
        finally:
            made.down()


def test_one_push_rolls_one_service_out_through_the_stack(stack: Stack):
    wait_for("the stack to answer", stack.answers, 180, 0.5)
    client = stack.node.client()
    for tag in ("1.0.0", "1.1.0"):
        build(client, f"{stack.registry}/app:{tag}", tag)
    stack.docker("push", "-q", f"{stack.registry}/app:1.0.0")
    stack.docker(
        "service", "create", "-q", "--detach", "--name", "tracked", "--label", "nodewise.track=semver:^1",
        "--replicas", "2", "--no-healthcheck", "--update-monitor", "1s", f"{stack.registry}/app:1.0.0",
    )  # fmt: skip
    try:
        stack.docker("push", "-q", f"{stack.registry}/app:1.1.0")
        token = stack.inside("web", "nodewise", "token", "create", "reader", "--scope", "read").split()[-1]

        def rolled_out() -> bool:
            found = stack.get(token, "rollouts?service=tracked")["rollouts"]
            return any(":1.1.0" in r["image"] and r["phase"] == "succeeded" for r in found)

        wait_for("the rollout to 1.1.0", rolled_out, 120, 0.5)
        wait_for("two tasks of it", lambda: running(client) == ["1.1.0", "1.1.0"], 30)
        assert "tracked" in stack.inside("web", "nodewise", "status")
        stack.inside("worker", "nodewise", "alive")
    finally:
        client.remove_service("tracked")


def running(client: docker.APIClient) -> list[str]:
    return [
        t["Spec"]["ContainerSpec"]["Image"].partition("@")[0].rpartition(":")[2]
        for t in client.tasks(filters={"service": "tracked", "desired-state": "running"})
        if t["Status"]["State"] == "running"
    ]
