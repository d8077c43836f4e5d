"""A rolling rollout of three replicas beside the bare API update with the same settings, alternated in one run.

Both are timed from the request to the end that the swarm itself declares, and to the moment when all three
nodes answer with the new version.
"""

from __future__ import annotations

import statistics
import time

import requests

from tests.bench.report import Bar, close, spread
from tests.product import wait_for
from tests.scene import Scene, open_scene

ROUNDS = 5
RATIO = 1.05


def main() -> int:
    bare: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    with open_scene("rollout") as scene:
        images = [scene.app(f"2.0.{n}") for n in range(2)]
        port = scene.port()
        service = scene.create_service("app", images[1], replicas=3, port=port, track="")
        for n in range(2 * ROUNDS):
            image, version = images[(n // 2 + n) % 2], f"2.0.{(n // 2 + n) % 2}"
            if n % 2 == 0:
                image, version = images[(n // 2) % 2], f"2.0.{(n // 2) % 2}"
            into, run = (bare, scene.bare_update) if n % 2 == 0 else (ours, deploy)
            before = next(images.index(i) for i in images if i != image)
            scene.ensure_runs(service, images[before])
            into.append(timed(scene, service, image, version, port, run))
    for index, what in enumerate(("until all nodes answer", "until the end")):
        print(f"{what}: bare {spread([b[index] for b in bare], 's', 2)}")
        print(f"{what}: ours {spread([o[index] for o in ours], 's', 2)}")
    ratios = [statistics.median(o[i] for o in ours) / statistics.median(b[i] for b in bare) for i in (0, 1)]
    return close(
        [
            Bar("rollout until all answer", ratios[0], "times the bare update", RATIO),
            Bar("rollout until the end", ratios[1], "times the bare update", RATIO),
        ]
    )


def deploy(scene: Scene, service: str, image: str) -> None:
    scene.rollout_id = scene.product.post(f"services/{service}/deploy", image=image)["id"]


def timed(scene: Scene, service: str, image: str, version: str, port: int, run) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    scene.rollout_id = ""
    start = time.monotonic()
    run(scene, service, image) if run is deploy else run(service, image)
    wait_for(f"{version} on three nodes", lambda: answering(scene, port, version) == 3, 120)
    answered = time.monotonic() - start
    if scene.rollout_id:
        rollout = scene.product.wait_rollout(scene.rollout_id)
        assert rollout["phase"] == "succeeded", rollout["reason"]
    else:
        wait_for("the end of the bare update", lambda: scene.update_state(service) == "completed", 120)
    return answered, time.monotonic() - start


def answering(scene: Scene, port: int, version: str) -> int:
    """How many nodes answer with *version*."""
    count = 0
    for address in scene.addresses():
        try:
            count += requests.get(f"http://{address}:{port}/version", timeout=0.5).text.strip() == version
        except requests.RequestException:
            continue
    return count
