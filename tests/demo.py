"""``./dev demo [--keep | --simulated]``: the main job, told as it happens. Every step is asserted.

Without ``--simulated`` nothing is simulated: five engines in one swarm, a registry that notifies, a git repository
with the shipped hook, and Nodewise as processes of its own. What it prints it has seen.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.ending import end_in_order
from tests.gitrepo import Repository
from tests.lab.app import fill
from tests.lab.lab import Lab, in_use, why_not
from tests.product import free_port, wait_for
from tests.scene import Scene, open_scene
from tests.story import NODES, Story
from tests.telling import Teller, out

SECRET = "secret-of-the-demonstration"
T = TypeVar("T")


class Load:
    """Requests to every node, all the time, as the users of the service would send them."""

    def __init__(self, addresses: list[str], port: int) -> None:
        self._urls = [f"http://{a}:{port}/version" for a in addresses]
        self.asked = self.failed = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,), daemon=True) for url in self._urls]

    def _ask(self, url: str) -> None:
        while not self._stopped.wait(0.05):
            try:
                good = requests.get(url, timeout=2).status_code == 200
            except requests.RequestException:
                good = False
            with self._lock:
                self.asked += 1
                self.failed += not good

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()


class RealStage:
    """``tests.story.Stage`` on the lab."""

    by_git, by_push, by_api = "git push", "docker push", "curl to the API"

    def __init__(self, scene: Scene, repository: Repository, port: int) -> None:
        self.scene, self.repository, self.port = scene, repository, port
        self.image = f"{scene.registry.address}/shop"
        self._service = ""

    def now(self) -> float:
        return time.time()

    def wait(self, what: str, look: Callable[[], T | None], seconds: float) -> T:
        return wait_for(what, look, seconds, 0.1)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.scene.product.get(path, **query)
        return found

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        product = self.scene.product
        command = ["curl", "-sS", "--fail-with-body", "-X", "POST", "-H", "Content-Type: application/json"]
        command += ["-H", f"Authorization: Bearer {product.token}", "-d", json.dumps(body)]
        done = subprocess.run([*command, f"{product.url}/api/v1/{path}"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def git_push(self, version: str, health: str) -> str:
        (self.repository.clone / "www" / "version").write_text(f"{version}\n")
        (self.repository.clone / "health-status").write_text(f"{health}\n")
        self.repository.commit(f"Release {version}")
        self.repository.git("tag", f"v{version}")
        said = self.repository.git("push", "-q", "origin", "main", f"v{version}")
        return next(line for line in said.splitlines() if "nodewise" in line).strip()

    def build(self, version: str) -> None:
        self.scene.lab.build_app(f"{self.image}:{version}", version=version)

    def push(self, version: str) -> None:
        self.scene.push(f"{self.image}:{version}")

    def create_service(self, name: str, image: str, gate: Mapping[str, str]) -> str:
        labels = {f"gate__http__{key}": value for key, value in gate.items()}
        self._service = self.scene.create_service(
            name, image, replicas=None, port=self.port, update={"Monitor": 2_000_000_000}, **labels
        )
        return self._service

    def load(self) -> Load:
        return Load(self.scene.addresses(), self.port)

    def everywhere(self, version: str) -> None:
        def answers() -> bool:
            found = [requests.get(f"http://{a}:{self.port}/version", timeout=5).text for a in self.scene.addresses()]
            return found == [f"{version}\n"] * NODES

        with contextlib.suppress(requests.RequestException):
            wait_for(f"{version} on every node", answers, 30)
        assert answers(), f"not every node answers with {version}"
        assert self.scene.running_tags(self._service) == [version] * NODES

    def first_task(self, version: str, since: float) -> float:
        created = [
            moment(t["CreatedAt"])
            for t in self.scene.tasks(self._service)
            if f":{version}@" in t["Spec"]["ContainerSpec"]["Image"] and moment(t["CreatedAt"]) > since
        ]
        assert created, f"no new task of {version}"
        return min(created)


def moment(timestamp: str) -> float:
    """The engine's time (nanoseconds, UTC) in seconds since the epoch."""
    return datetime.fromisoformat(timestamp[:26].rstrip("Z") + "+00:00").timestamp()


@contextlib.contextmanager
def stage(teller: Teller) -> Iterator[RealStage]:
    """Lab, registry, repository and Nodewise."""
    with tempfile.TemporaryDirectory(prefix="nodewise-demo-") as name:
        folder = Path(name)
        port = free_port(Lab.up().host)  # the address is there once the lab is
        config = {
            "hooks": {"git": {"provider": "git", "secrets": [SECRET]}},
            "builds": {
                "shop": {
                    "git": str(folder / "shop.git"),
                    "refs": ["refs/tags/v*"],
                    "image": f"{Lab.host}:{port}/shop:{{version}}",
                }
            },
        }
        local = {"NODEWISE_GIT_ALLOW_LOCAL": "true"}
        with open_scene("demo", config=config, registry_port=port, **local) as scene:
            lab = f"{len(scene.lab.managers)} managers, {len(scene.lab.workers)} workers"
            teller.say(f"the lab is up: {lab}; a registry on {scene.registry.address}")
            teller.say(f"nodewise up answers on {scene.product.url}")
            (folder / "secret").write_text(SECRET)
            hook = f"{scene.product.url}/hooks/git"
            repository = Repository(folder / "shop.git", folder / "shop", hook, folder / "secret")
            fill(repository.clone, "0")
            yield RealStage(scene, repository, scene.port())


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.partition("\n")[0])
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    how.add_argument(
        "--simulated", action="store_true", help="on a simulated swarm in virtual time: no root, no Docker"
    )
    options = parser.parse_args(arguments)
    try:
        if options.simulated:
            from tests.simulated.demo import play as play_simulated

            return play_simulated()
        return play(options.keep)
    except AssertionError as error:
        out.print(f"[red]failed:[/] {error}")
        return 1


def play(keep_running: bool) -> int:
    """The story on the real swarm. The exit code."""
    if reason := why_not():
        out.print(f"[red]the demonstration cannot run here:[/] {reason}; ./dev demo --simulated needs Python alone")
        return 1
    teller = Teller(time.monotonic)
    with in_use(), stage(teller) as real:
        story = Story(real, teller)
        story.run()
        out.print()
        out.print(teller.table("What was shown", story.rows))
        if keep_running:
            keep(real.scene)
    teller.say("[green]all of it held; everything that was started is stopped[/]")
    return 0


def keep(scene: Scene) -> None:
    product = scene.product
    out.print(f"\nNodewise goes on answering on {product.url}; Ctrl-C stops it and the lab. To try it:\n")
    out.print(f"  export NODEWISE_URL={product.url} NODEWISE_TOKEN=$(cat {product.data_dir}/admin.token)")
    out.print("  .venv/bin/nodewise status")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


if __name__ == "__main__":
    end_in_order()
    sys.exit(main(sys.argv[1:]))
