"""A scene: the lab, a registry and a Nodewise wired to it, and services of its own, gone at the end.

Everything goes through the Engine API of the lab's engines, as a user's own tools would.
"""

from __future__ import annotations

import io
import json
import sqlite3
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
import requests

from tests import others
from tests.lab.lab import Lab, in_use
from tests.lab.registry import Registry
from tests.lab.turns import TURNS
from tests.product import Product, free_port, wait_for

HOOK_SECRET = "scene-hook-secret-of-no-value"
SECOND = 1_000_000_000
PROBE = ("/bin/wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/version")


class Scene:
    """One test's own corner of the lab."""

    def __init__(self, lab: Lab, registry: Registry, product: Product, name: str) -> None:
        self.lab = lab
        self.registry = registry
        self.product = product
        self.name = f"{name}-{uuid.uuid4().hex[:6]}"
        self._created: list[str] = []
        self._local = threading.local()

    # -- engines -----------------------------------------------------------------------------------

    def client(self) -> docker.APIClient:
        """The API of the first manager, which also builds and pushes: one connection a thread."""
        if not hasattr(self._local, "client"):
            self._local.client = self.lab.managers[0].client()
        client: docker.APIClient = self._local.client
        return client

    def addresses(self) -> list[str]:
        return [node.address for node in self.lab.nodes]

    def port(self) -> int:
        return self.lab.free_port()

    # -- images ------------------------------------------------------------------------------------

    def image(self, tag: str) -> str:
        return f"{self.registry.address}/{self.name}/app:{tag}"

    def app(self, tag: str, broken: bool = False, push: bool = True) -> str:
        """The sample app as version *tag*; ``broken``: its health address answers 500."""
        image = self.image(tag)
        self.lab.build_app(image, version=tag, broken=broken)
        if push:
            self.push_and_wait(image)
        return image

    def variant(self, tag: str, command: str, base: str = "1.0.0") -> str:
        """The sample app with another command, pushed."""
        recipe = f"FROM {self.image(base)}\nENTRYPOINT {json.dumps(['/bin/sh', '-c', command])}\n"
        for line in self.client().build(fileobj=io.BytesIO(recipe.encode()), tag=self.image(tag), rm=True, decode=True):
            assert "error" not in line, line["error"]
        self.push_and_wait(self.image(tag))
        return self.image(tag)

    def push(self, image: str) -> str:
        """docker push. Returns the digest."""
        digest = ""
        for line in self.client().push(image, stream=True, decode=True):
            assert "error" not in line, line["error"]
            digest = (line.get("aux") or {}).get("Digest", digest)
        return digest

    def push_and_wait(self, image: str) -> None:
        """docker push, acted on by the time this returns: it starts nothing for a service that is created later."""
        digest = self.push(image)
        if self.registry.endpoints:
            same = f"json_extract(data, '$.digest') = '{digest}' AND json_extract(data, '$.tag') = '{tag_of(image)}'"
            wait_for(f"the event of {image}", lambda: self.rows(f"SELECT 1 FROM events WHERE {same} AND done_at > 0"))

    def tag_many(self, image: str, tags: Sequence[str]) -> None:
        """Give one manifest in the registry more tags, without an engine."""
        path = image.partition("/")[2].rpartition(":")[0]
        base = f"http://{self.registry.address}/v2/{path}/manifests"
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        with requests.Session() as http:
            manifest = http.get(f"{base}/{image.rpartition(':')[2]}", headers={"Accept": kind}, timeout=60).content
            for tag in tags:
                http.put(f"{base}/{tag}", data=manifest, headers={"Content-Type": kind}, timeout=60).raise_for_status()

    # -- services ----------------------------------------------------------------------------------

    def create_service(
        self,
        name: str,
        image: str,
        replicas: int | None = 3,
        port: int | None = None,
        track: str = "semver:^1",
        update: dict[str, Any] | None = None,
        checked: bool = True,
        on: Sequence[str] = (),
        **labels: str,
    ) -> str:
        """A service on the sample app, running before this returns. ``replicas`` None: global.

        ``checked``: with a health check of its own. ``on``: the names of the only nodes that it may run on.
        ``labels``: without ``nodewise.``, two underscores for a dot.
        """
        full = f"{self.name}-{name}"
        marks = {f"nodewise.{key.replace('__', '.')}": value for key, value in labels.items()}
        if track:
            marks["nodewise.track"] = track
        mode = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
        ports = [{"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": port, "PublishMode": "host"}] if port else []
        spec = {
            "Name": full,
            "Labels": marks,
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": image if "@" in image else self.pinned(image),  # as the docker command line does it
                    "StopGracePeriod": SECOND,
                    "HealthCheck": {
                        "Test": ["CMD", *PROBE] if checked else ["NONE"],
                        "Interval": SECOND,
                        "Timeout": SECOND,
                        "Retries": 3,
                    },
                },
                "RestartPolicy": {"Condition": "any", "Delay": SECOND},
                "Placement": {"Constraints": self._only(on)},
            },
            "Mode": mode,
            "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Order": "stop-first", **(update or {})},
            "EndpointSpec": {"Mode": "dnsrr" if port else "vip", "Ports": ports},
        }
        client = self.client()
        client._result(client._post_json(client._url("/services/create"), data=spec), True)
        self._created.append(full)
        if replicas != 0:
            wanted = len(on or self.lab.nodes) if replicas is None else replicas
            wait_for(f"{full} to run", lambda: len(self.running_tags(full)) == wanted)
        return full

    def _only(self, on: Sequence[str]) -> list[str]:
        """Constraints can say "and", but not "or": the nodes that are meant are those that are left."""
        return [f"node.hostname!={n.name}" for n in self.lab.nodes if on and n.name not in on]

    def runs_everywhere(self, service: str, tag: str, count: int) -> None:
        """Exactly *count* tasks run, all of them as *tag*."""
        wait_for(f"{service} as {tag}", lambda: self.running_tags(service) == [tag] * count)

    def deploy(self, service: str, image: str) -> dict[str, Any]:
        """Asked for through the API, and waited for."""
        return self.product.wait_rollout(self.product.post(f"services/{service}/deploy", image=image)["id"])

    def rollout_to(self, service: str, tag: str, seconds: float = 240) -> dict[str, Any]:
        """The rollout of *service* to *tag*, once it has ended."""
        ended = self.product.wait_service(service, lambda r: f":{tag}@" in f"{r['image']}@" and r["ended_at"], seconds)
        return self.product.get(f"rollouts/{ended['id']}")

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client().inspect_service(service)
        return found

    def services(self) -> list[dict[str, Any]]:
        return [s for s in self.client().services() if s["Spec"]["Name"].startswith(self.name)]

    def tasks(self, service: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client().tasks(filters={"service": service})
        return found

    def running_tags(self, service: str) -> list[str]:
        """The tag of every task that runs and is meant to."""
        return [
            tag_of(t["Spec"]["ContainerSpec"]["Image"])
            for t in self.tasks(service)
            if t["DesiredState"] == t["Status"]["State"] == "running"
        ]

    def update_state(self, service: str) -> str:
        return str((self.inspect(service).get("UpdateStatus") or {}).get("State", ""))

    def bare_update(self, service: str, image: str) -> None:
        """What a user's own script would do: the spec with another image, and nothing else."""
        pinned = self.pinned(image)
        others.update(self.client(), service, lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Image=pinned))

    def pinned(self, image: str) -> str:
        digest = self.client().inspect_distribution(image)["Descriptor"]["digest"]
        return f"{image}@{digest}"

    def remove(self) -> None:
        client = self.client()
        while self._created:
            with suppress(docker.errors.NotFound):
                client.remove_service(self._created[-1])
            self._created.pop()

    # -- the store, read as an auditor would ---------------------------------------------------------

    def rows(self, query: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.product.data_dir / "nodewise.db", timeout=60)) as store:
            store.row_factory = sqlite3.Row
            return [dict(row) for row in store.execute(query)]

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"])


def tag_of(image: str) -> str:
    return image.partition("@")[0].rpartition(":")[2]


def moment(timestamp: str) -> float:
    """The engine's time (nanoseconds, UTC) in seconds since the epoch."""
    return datetime.fromisoformat(timestamp[:26].rstrip("Z") + "+00:00").timestamp()


@contextmanager
def open_scene(
    name: str, notify: bool = True, config: dict[str, Any] | None = None, registry_port: int = 0, **env: str
) -> Iterator[Scene]:
    """The lab up and shared, a registry and a product on free ports, wired together."""
    with ExitStack() as stack:
        stack.enter_context(in_use())
        stack.enter_context(TURNS.shared())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodewise-scene-")))
        lab = Lab.up()
        port = free_port(lab.host)
        endpoint = {
            "url": f"http://{lab.host}:{port}/hooks/distribution",
            "headers": {"Authorization": [f"Bearer {HOOK_SECRET}"]},
        }
        registry = lab.open_registry(folder / "registry", [endpoint] if notify else [], registry_port)
        stack.callback(registry.stop)
        product = Product(folder / "data", [n.docker_host for n in lab.managers], _wired(config), lab.host, port, **env)
        stack.enter_context(product)
        scene = Scene(lab, registry, product, name)
        stack.callback(scene.remove)
        try:
            yield scene
        except BaseException:
            print(product.log_file.read_text()[-6000:])
            raise


def _wired(config: dict[str, Any] | None) -> dict[str, Any]:
    """*config* with the hook that the scene's registry calls."""
    config = config or {}
    ours = {"distribution": {"provider": "distribution", "secrets": [HOOK_SECRET]}}
    return {**config, "hooks": {**ours, **config.get("hooks", {})}}
