"""From the end of ``docker push`` to the service update that the swarm has accepted, idle system, 30 times.

The moment of acceptance is the manager's own: the time of its event that carries the new image.
"""

from __future__ import annotations

import statistics
import threading
import time

from tests.bench.report import Bar, close, spread
from tests.product import wait_for
from tests.scene import Scene, open_scene

TIMES = 30
WARM_UP = 2
MEDIAN_MS, WORST_MS = 150.0, 500.0


def main() -> int:
    with open_scene("reaction") as scene:
        service = scene.create_service("app", scene.app("1.0.0"), replicas=1, update={"Monitor": 500_000_000})
        watcher = Accepted(scene, service)
        taken = [one(scene, service, watcher, n) for n in range(WARM_UP + TIMES)][WARM_UP:]
    print("push -> accepted update: " + spread(taken, "ms"))
    return close(
        [
            Bar("reaction median", statistics.median(taken), "ms", MEDIAN_MS),
            Bar("reaction worst", max(taken), "ms", WORST_MS),
        ]
    )


def one(scene: Scene, service: str, watcher: Accepted, n: int) -> float:
    tag = f"1.1.{n}"
    image = scene.app(tag, push=False)
    watcher.clear()
    scene.push(image)
    pushed = time.time()
    accepted = wait_for("the accepted update", lambda: watcher.at(tag), 30, 0.005)
    scene.product.wait_service(service, lambda r: f":{tag}" in r["image"] and r["ended_at"])
    return (accepted - pushed) * 1000


class Accepted:
    """Listens to a manager's events for updates of one service."""

    def __init__(self, scene: Scene, service: str) -> None:
        self._seen: dict[str, float] = {}
        self._client = scene.client()
        self._stream = self._client.events(decode=True, filters={"type": "service"})
        self._service = service
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for event in self._stream:
            attributes = event["Actor"]["Attributes"]
            if attributes.get("name") == self._service and "image.new" in attributes:
                tag = attributes["image.new"].partition("@")[0].rpartition(":")[2]
                self._seen.setdefault(tag, event["timeNano"] / 1e9)

    def clear(self) -> None:
        self._seen.clear()

    def at(self, tag: str) -> float | None:
        return self._seen.get(tag)
