"""Worker, web and Redis killed (-9) in the middle of a rollout: it ends right, with no hand needed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.product import wait_for
from tests.scene import Scene, open_scene

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.seconds(160)]

REDIS = shutil.which("redis-server") or "redis-server"


class OwnRedis:
    """A Redis of the test's own that keeps its data on disk, to be killed with and without it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self.process = subprocess.Popen([REDIS, *options, *durable], stdout=subprocess.DEVNULL)
        wait_for("Redis", self.socket.exists, 10)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)

    def wipe(self) -> None:
        shutil.rmtree(self.folder)


@pytest.fixture
def redis(tmp_path: Path):
    own = OwnRedis(tmp_path / "redis")
    own.start()
    yield own
    own.kill()


def in_the_middle(scene: Scene) -> str:
    """A rollout by push with its first node moved and not all of them."""
    first = scene.app("1.0.0")
    service = scene.create_service("app", first, replicas=3, port=scene.port())
    scene.push(scene.app("1.1.0", push=False))

    def midway() -> str | None:
        moved = [scene.running_tags(service).count("1.1.0"), len(scene.running_tags(service))]
        return service if 0 < moved[0] < 3 else None

    return wait_for("the first of three nodes", midway, 60)


def ends_right(scene: Scene, service: str) -> None:
    rollout = scene.product.wait_service(service, lambda r: r["ended_at"] and ":1.1.0" in r["image"], 120)
    assert rollout["phase"] == "succeeded", rollout["reason"]
    assert scene.running_tags(service) == ["1.1.0"] * 3
    ours = [r for r in scene.product.get("rollouts", service=service)["rollouts"] if ":1.1.0" in r["image"]]
    assert len(ours) == 1


@pytest.mark.parametrize("process", ["worker", "web", "clock"])
def test_a_rollout_ends_right_after_a_process_was_killed(process):
    with open_scene("killed") as scene:
        service = in_the_middle(scene)
        old = scene.product.kill(process)
        scene.product.wait_restarted(process, old)
        ends_right(scene, service)


def test_a_rollout_ends_right_after_the_embedded_redis_was_killed_and_lost_all_it_had():
    with open_scene("killed") as scene:
        service = in_the_middle(scene)
        old = scene.product.kill("redis")
        scene.product.wait_restarted("redis", old)
        ends_right(scene, service)


@pytest.mark.parametrize("wiped", [False, True], ids=["with its data", "with its data wiped"])
def test_a_rollout_ends_right_after_redis_was_killed(redis, wiped):
    with open_scene("killed", NODEWISE_REDIS_URL=f"redis+socket://{redis.socket}") as scene:
        service = in_the_middle(scene)
        redis.kill()
        if wiped:
            redis.wipe()
        redis.start()
        ends_right(scene, service)


def test_a_rollout_ends_right_after_everything_was_killed_at_once():
    with open_scene("killed") as scene:
        service = in_the_middle(scene)
        assert scene.product.process is not None
        scene.product.process.kill()
        scene.product.process.wait()
        scene.product.start()
        ends_right(scene, service)
