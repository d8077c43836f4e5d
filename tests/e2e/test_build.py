"""From git push to running tasks: checkout of exactly the pushed commit, build, push, rollout."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nodewise.domain.rollout import Phase
from tests.gitrepo import Repository
from tests.lab.app import fill
from tests.lab.lab import Lab
from tests.product import free_port, wait_for
from tests.scene import Scene, open_scene

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.seconds(60)]

SECRET = "secret-of-the-git-hook"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("git")


@pytest.fixture(scope="module")
def scene(_lab: Lab, folder: Path) -> Iterator[Scene]:
    port = free_port(_lab.host)
    config = {
        "registries": {f"{_lab.host}:{port}": {"address": f"http://{_lab.host}:{port}"}},
        "hooks": {"git": {"provider": "git", "secrets": [SECRET]}},
        "builds": {
            name: {
                "git": str(folder / f"{name}.git"),
                "refs": ["refs/tags/v*"],
                "image": f"{_lab.host}:{port}/built/{name}:{{version}}",
                "args": {"FLAVOUR": "salty"},
                "platforms": ["linux/amd64", "linux/arm64"] if name == "both" else [],
            }
            for name in ("app", "left", "right", "both")
        },
    }
    with open_scene(
        "build", notify=False, config=config, registry_port=port, NODEWISE_GIT_ALLOW_LOCAL="true"
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def repository(scene: Scene, folder: Path) -> Repository:
    (folder / "secret").write_text(SECRET)
    made = repository_of(scene, folder, "app")
    with (made.clone / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("ARG FLAVOUR\nENV FLAVOUR=$FLAVOUR\n")
    return made


def repository_of(scene: Scene, folder: Path, name: str) -> Repository:
    made = Repository(folder / f"{name}.git", folder / name, f"{scene.product.url}/hooks/git", folder / "secret")
    fill(made.clone, "0")
    return made


def release(repository: Repository, version: str) -> str:
    """A commit and its tag, pushed. Returns the commit."""
    (repository.clone / "www" / "version").write_text(f"{version}\n")
    commit = repository.commit(version)
    repository.git("tag", f"v{version}")
    repository.git("push", "-q", "origin", "main", f"v{version}")
    return commit


def built(scene: Scene, commit: str) -> dict:
    def ended() -> dict | None:
        found = [b for b in scene.product.get("builds")["builds"] if b["commit"] == commit]
        return found[0] if found and found[0]["ended_at"] else None

    return wait_for(f"the build of {commit}", ended)


def test_a_pushed_tag_is_built_pushed_and_rolled_out(scene: Scene, repository: Repository):
    first = built(scene, release(repository, "1.0.0"))
    assert first["state"] == "pushed", first
    image = f"{scene.registry.address}/built/app:1.0.0"
    assert first["image"] == image
    service = scene.create_service("app", image, 2, checked=False, update={"Monitor": 1_000_000_000})
    second = built(scene, release(repository, "1.1.0"))
    ended = scene.rollout_to(service, "1.1.0")
    assert ended["phase"] == Phase.SUCCEEDED
    assert second["digest"] in ended["to_image"]
    scene.runs_everywhere(service, "1.1.0", 2)
    inspected = scene.client().inspect_image(f"{scene.registry.address}/built/app:1.1.0")
    assert "FLAVOUR=salty" in inspected["Config"]["Env"]
    log = scene.product.get(f"builds/{second['id']}/log")
    assert "COPY www /www" in log
    assert "pushed" in log.lower()


def test_every_pushed_commit_is_built_as_itself(scene: Scene, repository: Repository):
    commits = {v: release(repository, v) for v in ("2.0.0", "2.0.1", "2.0.2")}
    for version, commit in commits.items():
        assert built(scene, commit)["state"] == "pushed"
        client = scene.client()
        image = f"{scene.registry.address}/built/app:{version}"
        container = client.create_container(image, entrypoint=["/bin/cat", "/www/version"])["Id"]
        client.start(container)
        client.wait(container)
        assert client.logs(container) == f"{version}\n".encode()
        client.remove_container(container, force=True)


def test_a_branch_that_no_build_asks_for_is_left_alone(scene: Scene, repository: Repository):
    before = len(scene.product.get("builds")["builds"])
    repository.commit("work")
    repository.git("push", "-q", "origin", "main")

    def told() -> str | None:
        rows = scene.rows("SELECT outcome FROM events ORDER BY id DESC LIMIT 1")
        return rows[0]["outcome"]

    assert "refs/heads/main does not match refs/tags/v*" in wait_for("the event's outcome", told)
    assert len(scene.product.get("builds")["builds"]) == before


def test_a_build_that_fails_says_why_and_starts_nothing(scene: Scene, repository: Repository):
    dockerfile = repository.clone / "Dockerfile"
    shutil.copy(dockerfile, dockerfile.with_suffix(".good"))
    with dockerfile.open("a") as file:
        file.write('RUN ["/bin/sh", "-c", "echo this cannot work; exit 7"]\n')
    failed = built(scene, release(repository, "3.0.0"))
    shutil.move(dockerfile.with_suffix(".good"), dockerfile)
    assert failed["state"] == "failed"
    assert "exit code: 7" in failed["error"]
    assert "this cannot work" in scene.product.get(f"builds/{failed['id']}/log")
    assert scene.rows("SELECT * FROM rollouts WHERE image LIKE '%3.0.0%'") == []


def test_a_build_for_two_platforms_is_rolled_out_as_one_index(scene: Scene, folder: Path):
    """The app's RUN needs no emulator here, whatever the platform: the busybox that it runs is this machine's own."""
    made = repository_of(scene, folder, "both")
    first = built(scene, release(made, "1.0.0"))
    assert first["state"] == "pushed", first
    service = scene.create_service("both", first["image"], 2, checked=False, update={"Monitor": 1_000_000_000})
    second = built(scene, release(made, "1.1.0"))
    ended = scene.rollout_to(service, "1.1.0")
    assert ended["phase"] == Phase.SUCCEEDED
    assert second["digest"] in ended["to_image"]
    scene.runs_everywhere(service, "1.1.0", 2)
    placement = scene.client().inspect_service(service)["Spec"]["TaskTemplate"]["Placement"]
    assert [p["Architecture"] for p in placement["Platforms"]] == ["amd64", "arm64"]


def test_a_registry_that_is_away_is_waited_for(scene: Scene, repository: Repository):
    scene.registry.stop()
    commit = release(repository, "3.1.0")
    wait_for(
        "a first attempt to push",
        lambda: scene.rows("SELECT 1 FROM outbox WHERE verb='push' AND attempts >= 1 AND last_error != ''"),
    )
    scene.registry.start()
    assert built(scene, commit)["state"] == "pushed"


@contextmanager
def held(host: str) -> Iterator[tuple[str, threading.Event]]:
    """An address that answers nobody before the event is set."""
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            released.wait(240)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer((host, free_port(host)), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{host}:{server.server_port}/", released
        finally:
            released.set()
            server.shutdown()


def test_builds_wait_for_one_another_and_a_rollback_waits_for_none(scene: Scene, repository: Repository, folder: Path):
    service = scene.create_service("other", f"{scene.registry.address}/built/app:1.0.0", 1, checked=False)
    assert scene.deploy(service, f"{scene.registry.address}/built/app:1.1.0")["phase"] == Phase.SUCCEEDED
    repositories = {"app": repository, **{name: repository_of(scene, folder, name) for name in ("left", "right")}}

    def building() -> list[str]:
        return [b["name"] for b in scene.product.get("builds")["builds"] if b["state"] == "building"]

    with held(scene.lab.host) as (address, released):
        for each in repositories.values():
            with (each.clone / "Dockerfile").open("a") as dockerfile:
                dockerfile.write(f'RUN ["/bin/wget", "-q", "-O", "/dev/null", "{address}"]\n')
        commits = [release(repositories[name], f"4.0.{n}") for n, name in enumerate(("app", "app", "left", "right"))]
        wait_for("two builds at once", lambda: len(building()) == 2)
        assert len(set(building())) == 2, "of each repository one at a time"
        rollout = scene.product.post(f"services/{service}/rollback")["id"]
        assert scene.product.wait_rollout(rollout)["phase"] == Phase.SUCCEEDED
        assert len(building()) == 2, "it did not wait for a build to end, and no third one has begun"
        released.set()
        assert {built(scene, commit)["state"] for commit in commits} == {"pushed"}
