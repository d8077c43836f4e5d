"""A rolling rollout of three replicas beside the bare API update with the same settings, alternated in one run.

Both are timed from the request to the end that the swarm itself declares, and to the moment when all three
nodes answer with the new version. A staged rollout of the same service stands beside them with its price, and
without a bar: docs/rollout.md says what it buys.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import requests

from tests import others
from tests.bench.report import Bar, close, spread
from tests.product import wait_for
from tests.scene import Scene, open_scene

ROUNDS = 6
RATIO = 1.05
REPLICAS = 3
WAYS = ("bare", "ours", "staged")
IMAGES = 2


@dataclass(frozen=True)
class Taken:
    """Seconds from the request: until every node answers, until the declared end; and how long candidates walked."""

    answered: float
    ended: float
    walked: float = 0.0


def main() -> int:
    taken: dict[str, list[Taken]] = {way: [] for way in WAYS}
    with open_scene("rollout") as scene:
        service = Service(scene, [scene.app(f"2.0.{n}") for n in range(IMAGES)])
        for _ in range(IMAGES):  # both images are on every node before anything is timed
            service.timed("bare")
        for _ in range(ROUNDS):
            # Three ways and two images: each way goes to each image as often, so that none gains by what is there.
            for way in WAYS:
                taken[way].append(service.timed(way))
    return told(taken)


def told(taken: dict[str, list[Taken]]) -> int:
    """The figures and the bars; the exit code."""
    ratios = []
    for moment, until in (("answered", "until all nodes answer"), ("ended", "until the end")):
        columns = {way: [getattr(t, moment) for t in found] for way, found in taken.items()}
        for way, column in columns.items():
            print(f"{until}: {way} {spread(column, 's', 2)}")
        medians = {way: statistics.median(column) for way, column in columns.items()}
        print(f"{until}: staged takes {medians['staged'] / medians['ours']:.2f} times as long as rolling")
        ratios.append(medians["ours"] / medians["bare"])
    print(f"until the last candidate has passed: staged {spread([t.walked for t in taken['staged']], 's', 2)}")
    return close(
        [
            Bar("rollout until all answer", ratios[0], "times the bare update", RATIO),
            Bar("rollout until the end", ratios[1], "times the bare update", RATIO),
        ]
    )


class Service:
    """The service, moved from one image to the other and back, each time in some way."""

    def __init__(self, scene: Scene, images: list[str]) -> None:
        self.scene, self.images, self.port = scene, images, scene.port()
        self.name = scene.create_service("app", images[-1], REPLICAS, port=self.port, track="")
        self.moves = 0

    def timed(self, way: str) -> Taken:
        """Move it to the other image: by a *bare* update, or by a rollout."""
        n, self.moves = self.moves % IMAGES, self.moves + 1
        self.label("staged" if way == "staged" else "rolling")
        start, rollout_id = time.monotonic(), ""
        if way == "bare":
            self.scene.bare_update(self.name, self.images[n])
        else:
            rollout_id = self.scene.product.post(f"services/{self.name}/deploy", image=self.images[n])["id"]
        wait_for(f"image {n} on every node", lambda: self.answering(f"2.0.{n}") == REPLICAS, 180)
        answered = time.monotonic() - start
        if way == "bare":
            wait_for("the end of the update", lambda: self.scene.update_state(self.name) == "completed", 120)
            return Taken(answered, time.monotonic() - start)
        rollout = self.scene.product.wait_rollout(rollout_id)
        assert rollout["phase"] == "succeeded", rollout["reason"]
        return Taken(answered, time.monotonic() - start, self.walked(rollout_id))

    def label(self, strategy: str) -> None:
        """Have its rollouts go that way, as ``docker service update --label-add``; no task is touched by it."""
        labels = {"nodewise.strategy": strategy}
        others.update(self.scene.client(), self.name, lambda spec: spec["Labels"].update(labels))

    def walked(self, rollout_id: str) -> float:
        """Seconds from a rollout's start to its one write of the service."""
        (row,) = self.scene.rows(f"SELECT started_at, written_at FROM rollouts WHERE id='{rollout_id}'")
        return float(row["written_at"] - row["started_at"])

    def answering(self, version: str) -> int:
        """How many nodes answer with *version*."""
        count = 0
        for address in self.scene.addresses():
            try:
                count += requests.get(f"http://{address}:{self.port}/version", timeout=0.5).text.strip() == version
            except requests.RequestException:
                continue
        return count
