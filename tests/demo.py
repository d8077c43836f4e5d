"""``./dev demo [--keep]``: the main job on a real swarm, told as it happens. Every step is asserted.

Five engines in one swarm, a registry that notifies, a git repository with the shipped hook, and Nodewise as
processes of its own: nothing here is simulated. What it prints it has seen.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from tests.gitrepo import Repository
from tests.lab.app import fill
from tests.lab.lab import Lab, in_use, why_not
from tests.product import free_port, wait_for
from tests.scene import Scene, moment, open_scene

SECRET = "secret-of-the-demonstration"
out = Console(highlight=False, width=None if sys.stdout.isatty() else 130)
began = time.monotonic()


def say(text: str) -> None:
    out.print(f"[dim]{time.monotonic() - began:6.1f} s[/]  {text}")


@dataclass
class Row:
    """One line of the summary."""

    what: str
    how: str
    result: str
    first_task: float | None
    total: float
    asked: int
    failed: int


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


class Demo:
    """The story, step by step."""

    def __init__(self, scene: Scene, repository: Repository, port: int) -> None:
        self.scene, self.repository, self.port = scene, repository, port
        self.image = f"{scene.registry.address}/shop"
        self.service = ""
        self.rows: list[Row] = []

    def run(self) -> None:
        self.first_version()
        self.second_version_under_load()
        self.third_version_is_broken()
        self.fourth_version_by_docker_push()
        self.a_tag_that_does_not_match()
        self.rollback_by_curl()

    # -- steps -------------------------------------------------------------------------------------

    def first_version(self) -> None:
        say("[bold]v1[/]: git push of the tag v1.0.0")
        start = time.time()
        self.git_release("1.0.0")
        self.built("1.0.0")
        self.service = self.scene.create_service(
            "shop",
            f"{self.image}:1.0.0",
            replicas=None,
            port=self.port,
            update={"Monitor": 2_000_000_000},
            gate__http__url=f"http://{{node}}:{self.port}/cgi-bin/health",
            gate__http__interval="300ms",
            gate__http__timeout="500ms",
        )
        self.everywhere("1.0.0")
        self.row("v1", "git push + service create", "runs on 5 of 5 nodes", start, "1.0.0", 0, 0)

    def second_version_under_load(self) -> None:
        say("[bold]v2[/]: git push of v1.1.0, while every node is asked 20 times a second")
        with Load(self.scene.addresses(), self.port) as load:
            start = time.time()
            self.git_release("1.1.0")
            self.built("1.1.0")
            ended = self.follow("1.1.0")
        assert ended["phase"] == "succeeded", ended
        since = sorted(s["since"] for s in ended["steps"] if s["state"] == "passed")
        assert len(since) == 5, "every node has passed"
        assert all(b > a for a, b in itertools.pairwise(since)), "one node after the other"
        self.everywhere("1.1.0")
        self.row("v2", "git push", "moved node by node", start, "1.1.0", load.asked, load.failed)

    def third_version_is_broken(self) -> None:
        say("[bold]v3[/]: git push of v1.2.0, whose health address answers 500")
        with Load(self.scene.addresses(), self.port) as load:
            start = time.time()
            self.git_release("1.2.0", health="500")
            self.built("1.2.0")
            ended = self.follow("1.2.0")
        assert ended["phase"] == "rolled_back", ended
        assert "gate http failed" in ended["reason"], ended
        assert "serving version 1.2.0" in ended["evidence"], ended
        say(f"        it says why: [yellow]{ended['reason']}[/]")
        self.everywhere("1.1.0")
        self.row("v3", "git push, broken", "rolled back by itself", start, "1.2.0", load.asked, load.failed)

    def fourth_version_by_docker_push(self) -> None:
        say("[bold]v4[/]: docker push of 1.3.0 alone; the service follows semver:^1")
        self.scene.lab.build_app(f"{self.image}:1.3.0", version="1.3.0")
        with Load(self.scene.addresses(), self.port) as load:
            start = time.time()
            self.scene.push(f"{self.image}:1.3.0")
            ended = self.follow("1.3.0")
        assert ended["phase"] == "succeeded", ended
        self.everywhere("1.3.0")
        self.row("v4", "docker push", "moved node by node", start, "1.3.0", load.asked, load.failed)

    def a_tag_that_does_not_match(self) -> None:
        say("docker push of 2.0.0, which semver:^1 does not admit")
        start = time.time()
        before = self.scene.count("rollouts")
        self.scene.lab.build_app(f"{self.image}:2.0.0", version="2.0.0")
        self.scene.push(f"{self.image}:2.0.0")
        outcome = wait_for("the event's outcome", self.outcome_of("2.0.0"))
        assert "left alone: tag 2.0.0 does not match semver:^1" in outcome, outcome
        assert self.scene.count("rollouts") == before
        self.everywhere("1.3.0")
        self.rows.append(Row("2.0.0", "docker push", "left alone", None, time.time() - start, 0, 0))

    def rollback_by_curl(self) -> None:
        release = next(r for r in self.releases() if ":1.1.0@" in r["image"])["number"]
        say(f"rollback to v2 (release {release}), enqueued through the API with curl")
        with Load(self.scene.addresses(), self.port) as load:
            start = time.time()
            answer = self.curl(f"/api/v1/services/{self.service}/rollback", {"to": release})
            ended = self.watch(answer["id"])
        assert ended["phase"] == "succeeded", ended
        self.everywhere("1.1.0")
        self.row("back to v2", "curl to the API", "moved node by node", start, "1.1.0", load.asked, load.failed)

    # -- doing -------------------------------------------------------------------------------------

    def git_release(self, version: str, health: str = "200") -> None:
        (self.repository.clone / "www" / "version").write_text(f"{version}\n")
        (self.repository.clone / "health-status").write_text(f"{health}\n")
        self.repository.commit(f"Release {version}")
        self.repository.git("tag", f"v{version}")
        said = self.repository.git("push", "-q", "origin", "main", f"v{version}")
        say("        git says: " + next(line for line in said.splitlines() if "nodewise" in line).strip())

    def curl(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        product = self.scene.product
        command = ["curl", "-sS", "--fail-with-body", "-X", "POST", "-H", "Content-Type: application/json"]
        command += ["-H", f"Authorization: Bearer {product.token}", "-d", json.dumps(body), product.url + path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    # -- seeing ------------------------------------------------------------------------------------

    def built(self, version: str) -> None:
        def ended() -> dict[str, Any] | None:
            found = [b for b in self.scene.product.get("builds")["builds"] if b["image"] == f"{self.image}:{version}"]
            return found[0] if found and found[0]["ended_at"] else None

        build = wait_for(f"the build of {version}", ended)
        assert build["state"] == "pushed", build
        say(f"        {build['id']} built and pushed {build['image']} ({build['digest'][7:19]})")

    def follow(self, version: str) -> dict[str, Any]:
        """Watch the rollout to *version*, a line for each thing that happens, until it has ended."""
        found = self.scene.product.wait_service(self.service, lambda r: f":{version}@" in r["image"] + "@")
        return self.watch(found["id"])

    def watch(self, rollout_id: str) -> dict[str, Any]:
        told: dict[str, str] = {}
        while True:
            rollout: dict[str, Any] = self.scene.product.get(f"rollouts/{rollout_id}")
            for step in rollout["steps"]:
                if step["state"] != told.get(step["node"]) and step["state"] in ("passed", "failed"):
                    say(f"        {step['node']} {step['state']} {step['detail']}".rstrip())
                    told[step["node"]] = step["state"]
            if rollout["phase"] != told.get("") and rollout["phase"] != "pending":
                say(f"        {rollout_id} is {rollout['phase'].replace('_', ' ')}")
                told[""] = rollout["phase"]
            if rollout["ended_at"] and (rollout["evidence"] or not rollout["failing_task"]):
                return rollout
            time.sleep(0.1)

    def everywhere(self, version: str) -> None:
        """Every node answers with *version*, and every task that the swarm wants is it."""

        def answers() -> bool:
            found = [requests.get(f"http://{a}:{self.port}/version", timeout=5).text for a in self.scene.addresses()]
            return found == [f"{version}\n"] * 5

        with contextlib.suppress(requests.RequestException):
            wait_for(f"{version} on every node", answers, 30)
        assert answers(), f"not every node answers with {version}"
        assert self.scene.running_tags(self.service) == [version] * 5
        say(f"        [green]every node answers with {version}[/]")

    def outcome_of(self, tag: str) -> Callable[[], str]:
        def look() -> str:
            rows = self.scene.rows("SELECT data, outcome FROM events ORDER BY id DESC LIMIT 5")
            return next((r["outcome"] for r in rows if json.loads(r["data"]).get("tag") == tag), "")

        return look

    def releases(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.scene.product.get(f"services/{self.service}/releases")["releases"]
        return found

    # -- telling -----------------------------------------------------------------------------------

    def row(self, what: str, how: str, result: str, start: float, version: str, asked: int, failed: int) -> None:
        created = [
            moment(t["CreatedAt"])
            for t in self.scene.tasks(self.service)
            if f":{version}@" in t["Spec"]["ContainerSpec"]["Image"] and moment(t["CreatedAt"]) > start
        ]
        assert created, f"no new task of {version}"
        self.rows.append(Row(what, how, result, min(created) - start, time.time() - start, asked, failed))

    def summary(self) -> Table:
        table = Table(title="What was shown", title_justify="left")
        for name in ("what", "how it started", "result"):
            table.add_column(name)
        for name in ("push to first new task", "in all", "requests failed"):
            table.add_column(name, justify="right")
        for row in self.rows:
            first = "-" if row.first_task is None else f"{row.first_task:.2f} s"
            failed = f"{row.failed} of {row.asked}" if row.asked else "-"
            table.add_row(row.what, row.how, row.result, first, f"{row.total:.1f} s", failed)
        return table


@contextlib.contextmanager
def stage() -> Iterator[Demo]:
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
            say(f"the lab is up: {len(scene.lab.managers)} managers, 2 workers; a registry on {scene.registry.address}")
            say(f"nodewise up answers on {scene.product.url}")
            (folder / "secret").write_text(SECRET)
            hook = f"{scene.product.url}/hooks/git"
            repository = Repository(folder / "shop.git", folder / "shop", hook, folder / "secret")
            fill(repository.clone, "0")
            yield Demo(scene, repository, scene.port())


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    options = parser.parse_args(arguments)
    if reason := why_not():
        out.print(f"[red]the demonstration cannot run here:[/] {reason}")
        return 1
    try:
        with in_use(), stage() as demo:
            demo.run()
            out.print()
            out.print(demo.summary())
            if options.keep:
                keep(demo.scene)
    except AssertionError as error:
        out.print(f"[red]failed:[/] {error}")
        return 1
    say("[green]all of it held; everything that was started is stopped[/]")
    return 0


def keep(scene: Scene) -> None:
    product = scene.product
    out.print(f"\nNodewise goes on answering on {product.url}; Ctrl-C stops it and the lab. To try it:\n")
    out.print(f"  export NODEWISE_URL={product.url} NODEWISE_TOKEN=$(cat {product.data_dir}/admin.token)")
    out.print("  .venv/bin/nodewise status")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
