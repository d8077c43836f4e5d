"""Worker, web and Redis killed (-9) in the middle of a rollout: it ends right, with no hand needed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.product import wait_for
from tests.scene import Scene, open_scene

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.seconds(120)]

FAST = {"Monitor": 1_000_000_000}
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
        wait_for("Redis", self.socket.exists)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)

    def wipe(self) -> None:
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    own = OwnRedis(tmp_path_factory.mktemp("own") / "redis")
    own.start()
    yield own
    own.kill()


@pytest.fixture(scope="module")
def scene(_lab: Lab) -> Iterator[Scene]:
    with open_scene("killed") as opened:
        yield opened


@pytest.fixture(scope="module")
def scene_on_own_redis(_lab: Lab, redis: OwnRedis) -> Iterator[Scene]:
    with open_scene("redis", NODEWISE_REDIS_URL=f"redis+socket://{redis.socket}") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _gone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Services end with their test: the next one's ports and events are its own."""
    yield
    for name in {"scene", "scene_on_own_redis"} & set(request.fixturenames):
        request.getfixturevalue(name).remove()


def in_the_middle(scene: Scene) -> str:
    """A rollout by push with its first node moved and not all of them."""
    first = scene.app("1.0.0")
    port = scene.port()
    service = scene.create_service(f"app-{port}", first, replicas=3, port=port, update=FAST)
    scene.push(scene.app("1.1.0", push=False))

    def midway() -> str | None:
        moved = [scene.running_tags(service).count("1.1.0"), len(scene.running_tags(service))]
        return service if 0 < moved[0] < 3 else None

    return wait_for("the first of three nodes", midway)


def ends_right(scene: Scene, service: str) -> None:
    rollout = scene.product.wait_service(service, lambda r: r["ended_at"] and ":1.1.0" in r["image"])
    assert rollout["phase"] == "succeeded", rollout["reason"]
    assert scene.running_tags(service) == ["1.1.0"] * 3
    ours = [r for r in scene.product.get("rollouts", service=service)["rollouts"] if ":1.1.0" in r["image"]]
    assert len(ours) == 1


@pytest.mark.parametrize("process", ["worker", "web", "clock"])
def test_a_rollout_ends_right_after_a_process_was_killed(scene: Scene, process: str):
    service = in_the_middle(scene)
    old = scene.product.kill(process)
    scene.product.wait_restarted(process, old)
    ends_right(scene, service)


def test_a_rollout_ends_right_after_the_embedded_redis_was_killed_and_lost_all_it_had(scene: Scene):
    service = in_the_middle(scene)
    old = scene.product.kill("redis")
    scene.product.wait_restarted("redis", old)
    ends_right(scene, service)


@pytest.mark.parametrize("wiped", [False, True], ids=["with its data", "with its data wiped"])
def test_a_rollout_ends_right_after_redis_was_killed(scene_on_own_redis: Scene, redis: OwnRedis, wiped: bool):
    service = in_the_middle(scene_on_own_redis)
    redis.kill()
    if wiped:
        redis.wipe()
    redis.start()
    ends_right(scene_on_own_redis, service)


def test_a_rollout_ends_right_after_everything_was_killed_at_once(scene: Scene):
    service = in_the_middle(scene)
    assert scene.product.process is not None
    scene.product.process.kill()
    scene.product.process.wait()
    scene.product.start()
    ends_right(scene, service)
