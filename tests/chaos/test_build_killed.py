"""The worker killed (-9) while one build looks at its repository, one runs its source build, one builds its image and
one pushes it: each is taken up again, ends as one image and one rollout, and leaves nothing behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.gitrepo import Repository
from tests.lab.app import fill
from tests.lab.lab import Lab
from tests.ports import free_port
from tests.product import wait_for
from tests.scene import Scene, open_scene

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.seconds(80)]

STAGES = ("checkout", "source", "image", "push")
SECRET = "secret-of-the-git-hook"
FAST = {"Monitor": 1_000_000_000}


class Toll(ThreadingHTTPServer):
    """Whoever comes waits here until the bar is up. ``waiting``: the paths of those that do."""

    daemon_threads = True

    def __init__(self, host: str) -> None:
        self.up = threading.Event()
        self.waiting: set[str] = set()
        super().__init__((host, free_port(host)), _Booth)

    def url(self, path: str) -> str:
        return f"http://{self.server_address[0]}:{self.server_port}/{path}"


class _Booth(BaseHTTPRequestHandler):
    server: Toll

    def do_GET(self) -> None:
        self.server.waiting.add(self.path.strip("/"))
        self.server.up.wait(240)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("killed")
    (made / "tmp").mkdir()
    return made


@pytest.fixture(scope="module")
def toll(_lab: Lab) -> Iterator[Toll]:
    with Toll(_lab.host) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.up.set()
        yield server
        server.up.set()
        server.shutdown()


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """git's own server. It can be stopped in the middle of what it does."""
    port = free_port("127.0.0.1")
    words = ["git", "daemon", "--reuseaddr", "--export-all", f"--base-path={folder}", "--listen=127.0.0.1"]
    process = subprocess.Popen([*words, f"--port={port}"], stderr=subprocess.DEVNULL, start_new_session=True)
    yield f"git://127.0.0.1:{port}", process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def scene(_lab: Lab, folder: Path, toll: Toll, daemon: tuple[str, Any]) -> Iterator[Scene]:
    port = free_port(_lab.host)
    builds: dict[str, dict[str, Any]] = {
        stage: {
            "git": url_of(stage, folder, daemon[0]),
            "refs": ["refs/tags/v*"],
            "image": f"{_lab.host}:{port}/killed/{stage}:{{version}}",
        }
        for stage in STAGES
    }
    shell = f"{_lab.host}:{port}/shell:1"
    builds["source"]["source"] = {
        "image": shell,
        "command": f"wget -q -O /dev/null {toll.url('source')}; date >www/made",
    }
    config = {"hooks": {"git": {"provider": "git", "secrets": [SECRET]}}, "builds": builds}
    with open_scene(
        "killed-build",
        config=config,
        registry_port=port,
        NODEWISE_CONCURRENT_BUILDS="4",
        NODEWISE_GIT_ALLOW_LOCAL="true",
        TMPDIR=str(folder / "tmp"),
    ) as opened:
        opened.lab.build_app(shell, version="1")
        yield opened


def url_of(stage: str, folder: Path, daemon: str) -> str:
    """One of them is asked for at a server, which can be stopped while the others go on."""
    return f"{daemon}/{stage}.git" if stage == "checkout" else str(folder / f"{stage}.git")


@pytest.fixture(scope="module")
def repositories(scene: Scene, folder: Path, toll: Toll, daemon: tuple[str, Any]) -> dict[str, Repository]:
    (folder / "secret").write_text(SECRET)
    return {stage: repository(scene, folder, toll, url_of(stage, folder, daemon[0]), stage) for stage in STAGES}


def repository(scene: Scene, folder: Path, toll: Toll, url: str, stage: str) -> Repository:
    made = Repository(folder / f"{stage}.git", folder / stage, f"{scene.product.url}/hooks/git", folder / "secret")
    made.configure("nodewise.repository", url)
    fill(made.clone, "0")
    if stage == "image":
        with (made.clone / "Dockerfile").open("a") as dockerfile:
            dockerfile.write(f'RUN ["/bin/wget", "-q", "-O", "/dev/null", "{toll.url("image")}"]\n')
    return made


def release(made: Repository, version: str) -> str:
    (made.clone / "www" / "version").write_text(f"{version}\n")
    commit = made.commit(f"{made.clone.name} {version}")  # or two repositories would have the same one
    made.git("tag", f"v{version}")
    made.git("push", "-q", "origin", "main", f"v{version}")
    return commit


def builds_of(scene: Scene, commit: str) -> list[dict[str, Any]]:
    return [b for b in scene.product.get("builds")["builds"] if b["commit"] == commit]


def pushed(scene: Scene, commit: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        found = builds_of(scene, commit)
        return found[0] if found and found[0]["ended_at"] else None

    build = wait_for(f"the build of {commit}", ended)
    assert build["state"] == "pushed", build
    return build


def group(leader: int) -> list[int]:
    found = subprocess.run(["pgrep", "-g", str(leader)], capture_output=True, text=True, check=True)
    return [int(pid) for pid in found.stdout.split()]


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """These processes do nothing, and their connections stay open."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_each_is_taken_up_again(scene: Scene, repositories: dict[str, Repository], toll: Toll, daemon, folder: Path):
    services, commits = {}, {}
    for stage, first in {stage: release(made, "1.0.0") for stage, made in repositories.items()}.items():
        services[stage] = scene.create_service(stage, pushed(scene, first)["image"], 1, checked=False, update=FAST)
    toll.up.clear()
    toll.waiting.clear()

    def all_midway() -> bool:
        states = {stage: [b["state"] for b in builds_of(scene, commit)] for stage, commit in commits.items()}
        wanted = {stage: ["built" if stage == "push" else "building"] for stage in STAGES}
        return states == wanted and toll.waiting == {"source", "image"}

    with stopped(*group(daemon[1].pid), scene.registry.pid):
        commits = {stage: release(made, "1.1.0") for stage, made in repositories.items()}
        wait_for("each build in its stage", all_midway)
        orphans = asking(daemon[0])
        assert orphans
        scene.product.wait_restarted("worker", scene.product.kill("worker"))
        wait_for("nobody to go on without its worker", lambda: not orphans & asking(daemon[0]))
    toll.up.set()
    ends_right(scene, services, {stage: pushed(scene, commit) for stage, commit in commits.items()})
    nothing_is_left(scene, folder)


def asking(url: str) -> set[int]:
    """The git processes that ask that server."""
    found = subprocess.run(["pgrep", "-f", f"^git .*{url}"], capture_output=True, text=True, check=False)
    return {int(pid) for pid in found.stdout.split()}


def ends_right(scene: Scene, services: dict[str, str], builds: dict[str, dict[str, Any]]) -> None:
    """One build, one image, one rollout of each."""
    for stage, build in builds.items():
        assert len(builds_of(scene, build["commit"])) == 1
        assert scene.pinned(build["image"]).endswith(build["digest"])
        assert scene.rollout_to(services[stage], "1.1.0")["phase"] == "succeeded"
        rollouts = scene.product.get("rollouts", service=services[stage])["rollouts"]
        assert len([r for r in rollouts if ":1.1.0" in r["image"]]) == 1


def nothing_is_left(scene: Scene, folder: Path) -> None:
    for place in (scene.product.data_dir / "builds", folder / "tmp"):
        assert list(place.iterdir()) == []
    for build in scene.product.get("builds")["builds"]:  # others build on this engine too
        label = {"label": f"nodewise.build={build['id']}"}
        assert scene.client().containers(all=True, filters=label) == []
        assert not scene.client().volumes(filters=label)["Volumes"]
