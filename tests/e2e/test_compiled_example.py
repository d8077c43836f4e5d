"""examples/compiled, as its README tells it: compiled in a builder image, tested, built, pushed, and rolled out node by
node behind its edge, while somebody asks it all the time.
"""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import requests
import yaml

from nodewise.domain.rollout import Phase
from tests.e2e.hands import raw_service
from tests.gitrepo import Repository
from tests.integration.gate_parts import child
from tests.lab import compiler
from tests.lab.lab import Lab
from tests.ports import free_port
from tests.product import wait_for
from tests.scene import SECOND, Scene, open_scene

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.seconds(60)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "compiled"
SECRET = "secret-of-the-git-hook"
PORT = 8080  # in the example


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def scene(_lab: Lab, folder: Path) -> Iterator[Scene]:
    port = free_port(_lab.host)
    text = (EXAMPLE / "nodewise.yaml").read_text().replace("registry.example.org", f"{_lab.host}:{port}")
    config = yaml.safe_load(text)
    config["hooks"] = {"git": {"provider": "git", "secrets": [SECRET]}}
    config["builds"]["shop"]["git"] = str(folder / "shop.git")
    with open_scene(
        "compiled", notify=False, config=config, registry_port=port, NODEWISE_GIT_ALLOW_LOCAL="true"
    ) as opened:
        compiler.build(opened.client(), config["builds"]["shop"]["source"]["image"])
        yield opened


@pytest.fixture(scope="module")
def repository(scene: Scene, folder: Path) -> Repository:
    (folder / "secret").write_text(SECRET)
    made = Repository(folder / "shop.git", folder / "clone", f"{scene.product.url}/hooks/git", folder / "secret")
    shutil.copytree(EXAMPLE, made.clone, dirs_exist_ok=True)
    return made


def release(scene: Scene, repository: Repository, version: str) -> dict[str, Any]:
    """A commit and its tag, pushed; its build, once it has ended."""
    commit = repository.commit(f"Release {version}")
    repository.git("tag", f"v{version}")
    repository.git("push", "-q", "origin", "main", f"v{version}")

    def ended() -> dict[str, Any] | None:
        found = [b for b in scene.product.get("builds")["builds"] if b["commit"] == commit]
        return found[0] if found and found[0]["ended_at"] else None

    return wait_for(f"the build of {version}", ended)


@contextmanager
def service(scene: Scene, image: str, port: int) -> Iterator[str]:
    """The service of stack.yml, on every node."""
    wanted = yaml.safe_load((EXAMPLE / "stack.yml").read_text())["services"]["shop"]
    name = f"{scene.name}-shop"
    labels = {key: value.replace(str(PORT), str(port)) for key, value in wanted["deploy"]["labels"].items()}
    update = wanted["deploy"]["update_config"]
    spec = {
        "Name": name,
        "Labels": labels,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": scene.pinned(image),
                "Env": [f"{key}={value}" for key, value in wanted["environment"].items()],
                "StopGracePeriod": int(wanted["stop_grace_period"].rstrip("s")) * SECOND,
            },
            "RestartPolicy": {"Condition": "any", "Delay": SECOND},
        },
        "Mode": {"Global": {}},
        "UpdateConfig": {"Parallelism": 1, "Order": update["order"], "FailureAction": update["failure_action"]},
        "EndpointSpec": {
            "Mode": "dnsrr",
            "Ports": [{"Protocol": "tcp", "TargetPort": PORT, "PublishedPort": port, "PublishMode": "host"}],
        },
    }
    with raw_service(scene, spec):
        wait_for("every node", lambda: len(scene.running_tags(name)) == len(scene.lab.nodes))
        yield name


@contextmanager
def edge(scene: Scene, folder: Path, port: int) -> Iterator[str]:
    """HAProxy with the example's configuration, in front of every node. Its address, once it sees them all."""
    own = free_port("127.0.0.1")
    text = (EXAMPLE / "haproxy.cfg").read_text().replace("bind :80", f"bind 127.0.0.1:{own}")
    head = re.sub(r"^ +server .*\n", "", text, flags=re.MULTILINE)
    servers = [f"    server {n.name} {n.address}:{port}\n" for n in scene.lab.nodes]
    stats = "\nfrontend stats\n    bind 127.0.0.1:{}\n    stats enable\n    stats uri /stats\n"
    statistics = free_port("127.0.0.1")
    (folder / "haproxy.cfg").write_text(head + "".join(servers) + stats.format(statistics))

    def all_up() -> bool:
        try:
            rows = requests.get(f"http://127.0.0.1:{statistics}/stats;csv", timeout=2).text.splitlines()
        except requests.RequestException:
            return False
        return sum(row.startswith("nodes,") and ",UP," in row for row in rows) == len(servers) + 1

    with child("haproxy", "-db", "-f", str(folder / "haproxy.cfg"), log=folder / "haproxy.log"):
        wait_for("the edge to see every node", all_up)
        yield f"http://127.0.0.1:{own}"


class Customers:
    """Several who ask all the time, and what they were answered."""

    def __init__(self, url: str, count: int = 4) -> None:
        self.answers: Counter[str] = Counter()
        self._url = url
        self._over = Event()
        self._threads = [Thread(target=self._ask) for _ in range(count)]

    def _ask(self) -> None:
        while not self._over.wait(0.01):
            try:
                answer = requests.get(f"{self._url}/version", timeout=10)
                said = answer.text.strip() if answer.status_code == 200 else f"status {answer.status_code}"
            except requests.RequestException as error:
                said = type(error).__name__
            self.answers[said] += 1

    def __enter__(self) -> Customers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def test_from_git_push_to_every_node_with_no_request_lost(scene: Scene, repository: Repository, folder: Path):
    first = release(scene, repository, "1.0.0")
    assert first["state"] == "pushed", first
    log = scene.product.get(f"builds/{first['id']}/log")
    assert "6 checks passed" in log
    assert "made dist/shop, version 1.0.0" in log
    port = scene.port()
    with service(scene, first["image"], port) as name, edge(scene, folder, port) as url, Customers(url) as customers:
        wait_for("an answer", lambda: customers.answers["1.0.0"])
        began = time.time()
        second = release(scene, repository, "1.1.0")
        ended = scene.rollout_to(name, "1.1.0")
        assert ended["phase"] == Phase.SUCCEEDED, ended
        before = customers.answers["1.1.0"]
        wait_for("answers of the new one alone", lambda: customers.answers["1.1.0"] > before + 20)
        assert second["digest"] in ended["to_image"]
        assert [s["state"] for s in ended["steps"]] == ["passed"] * len(scene.lab.nodes)
        scene.runs_everywhere(name, "1.1.0", len(scene.lab.nodes))
        assert set(customers.answers) == {"1.0.0", "1.1.0"}, customers.answers
        assert ended["created_at"] > began

        (repository.clone / "src/answer.h").write_text(
            (repository.clone / "src/answer.h").read_text().replace("Hats.", "Cats.").replace("404", "200")
        )
        broken = release(scene, repository, "1.2.0")
        assert broken["state"] == "failed", broken
        assert "the source build failed with exit code" in broken["error"]
        assert scene.rows("SELECT * FROM rollouts WHERE image LIKE '%1.2.0%'") == []
        assert set(customers.answers) == {"1.0.0", "1.1.0"}, customers.answers
