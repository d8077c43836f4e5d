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

ROUNDS = 6
RATIO = 1.05


def main() -> int:
    taken: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": []}
    with open_scene("rollout") as scene:
        images = [scene.app(f"2.0.{n}") for n in (0, 1)]
        port = scene.port()
        service = scene.create_service("app", images[1], replicas=3, port=port, track="")
        for n in (0, 1):  # both images are on every node before anything is timed
            timed(scene, service, images[n], f"2.0.{n}", port, "bare")
        for round_ in range(ROUNDS):
            # Each goes to each image as often, so that neither gains by what is on the nodes already.
            for n, what in enumerate(("bare", "ours") if round_ % 2 else ("ours", "bare")):
                taken[what].append(timed(scene, service, images[n], f"2.0.{n}", port, what))
    ratios = []
    for index, until in enumerate(("until all nodes answer", "until the end")):
        columns = {what: [pair[index] for pair in pairs] for what, pairs in taken.items()}
        for what, column in columns.items():
            print(f"{until}: {what} {spread(column, 's', 2)}")
        ratios.append(statistics.median(columns["ours"]) / statistics.median(columns["bare"]))
    return close(
        [
            Bar("rollout until all answer", ratios[0], "times the bare update", RATIO),
            Bar("rollout until the end", ratios[1], "times the bare update", RATIO),
        ]
    )


def timed(scene: Scene, service: str, image: str, version: str, port: int, what: str) -> tuple[float, float]:
    """Seconds from the request until all three nodes answer with *version*, and until the declared end."""
    start = time.monotonic()
    rollout_id = ""
    if what == "ours":
        rollout_id = scene.product.post(f"services/{service}/deploy", image=image)["id"]
    else:
        scene.bare_update(service, image)
    wait_for(f"{version} on three nodes", lambda: answering(scene, port, version) == 3, 120)
    answered = time.monotonic() - start
    if rollout_id:
        rollout = scene.product.wait_rollout(rollout_id)
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
