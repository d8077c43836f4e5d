"""From the first bad answer to the last old task back, beside Swarm's own rollback of a container that exits.

A release that breaks only in its HTTP answers is nothing to Swarm: its gate turns it round. A container that ends is
taken back by Swarm itself. Two services with the same settings, one for each, alternated in one run.

What cannot be the same: the bad task still runs when it is to go, and Swarm's agent takes a second before it stops a
task that runs (swarmkit, agent/task.go: it cancels its wait, and backs off). A container that has exited spares that.
The bad release ends at once when it is told to, so that no time of the application's own is counted.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import requests

from nodewise.domain.swarm import ROLLOUT_LABEL
from tests.bench.report import Bar, close, spread
from tests.demo import moment
from tests.product import wait_for
from tests.scene import SECOND, Scene, open_scene

ROUNDS = 9
REPLICAS = 3
INTERVAL, FAILURES = 1.0, 3  # of the gate: the defaults
RATIO = 1.2
# The delay is what the gate needs, so that the rollout has no reason to raise it: both work with the same settings.
SETTINGS = {"Delay": 6 * SECOND, "Monitor": 5 * SECOND, "FailureAction": "rollback"}
GOOD, BAD, EXITS = "1.0.0", "1.1.0", "1.2.0"
SERVES_BADLY = (
    f'echo {BAD} >/www/version; echo 500 >/health-status; httpd -f -p 8080 -h /www & trap "kill $!; exit 0" TERM; wait'
)
PARTS = ("first reading", "veto", "write", "end of the bad task", "last old task")


def main() -> int:
    ours: list[list[float]] = []
    swarms: list[float] = []
    with open_scene("rollback") as scene:
        images = {GOOD: scene.app(GOOD), BAD: scene.variant(BAD, SERVES_BADLY), EXITS: scene.variant(EXITS, "exit 3")}
        on_every_node(scene, images)
        gated, native = Side(scene, "gated", images), Side(scene, "native", images)
        for round_ in range(ROUNDS + 1):
            parts, seconds = gated.by_gate(), native.by_swarm()
            if round_:  # the first round warms up
                ours.append(parts)
                swarms.append(seconds)
    whole = [sum(parts) for parts in ours]
    print(f"until the last old task is back: ours {spread(whole, 's', 2)}")
    print(f"until the last old task is back: Swarm's {spread(swarms, 's', 2)}")
    medians = [statistics.median(column) for column in zip(*ours, strict=True)]
    print("ours, step by step: " + ", ".join(f"{part} {s:.2f} s" for s, part in zip(medians, PARTS, strict=True)))
    bar = RATIO * statistics.median(swarms) + INTERVAL * FAILURES
    return close([Bar("rollback", statistics.median(whole), "s", round(bar, 2))])


def on_every_node(scene: Scene, images: dict[str, str]) -> None:
    """Nobody pulls while it is timed."""
    for node in scene.lab.nodes:
        with node.client() as client:
            for image in images.values():
                client.pull(image)


class Side:
    """One service of the comparison."""

    def __init__(self, scene: Scene, name: str, images: dict[str, str]) -> None:
        self.scene, self.images, self.port = scene, images, scene.port()
        gate = {
            "gate__http__url": f"http://{{node}}:{self.port}/cgi-bin/health",
            "gate__http__interval": f"{INTERVAL}s",
            "gate__http__failures": str(FAILURES),
        }
        self.service = scene.create_service(
            name, images[GOOD], REPLICAS, port=self.port, track="", checked=False, update=SETTINGS, **gate
        )
        self.settled()

    def by_gate(self) -> list[float]:
        """Seconds from the first bad answer, as a user gets it, to the last old task back; in parts."""
        product = self.scene.product
        rollout = product.post(f"services/{self.service}/deploy", image=self.images[BAD])["id"]
        wait_for("the first bad answer", lambda: 500 in self.asked("cgi-bin/health", lambda a: a.status_code), 60, 0.01)
        began = time.time()
        wait_for("the write", lambda: self.mark() == f"{rollout}/rollback", 60, 0.02)
        written = time.time()
        settled = self.settled()
        ended = product.wait_rollout(rollout)
        assert ended["phase"] == "rolled_back", ended["reason"]
        assert not any("delay raised" in note for note in ended["notes"]), "the settings are those of the other side"
        read = [r["at"] for r in ended["readings"] if r["verdict"] == "fail"]
        gone = max(moment(t["Status"]["Timestamp"]) for t in self.scene.tasks(self.service) if self.is_bad(t))
        marks = [min(began, read[0]), read[0], read[FAILURES - 1], written, gone, settled]
        return [b - a for a, b in itertools.pairwise(marks)]

    def is_bad(self, task: dict[str, Any]) -> bool:
        return str(task["Spec"]["ContainerSpec"]["Image"]).startswith(self.images[BAD])

    def mark(self) -> str:
        return str(self.scene.inspect(self.service)["Spec"]["Labels"].get(ROLLOUT_LABEL, ""))

    def by_swarm(self) -> float:
        """Seconds from the first failed task's end to the last old task back."""
        start = time.time()
        self.scene.bare_update(self.service, self.images[EXITS])
        began = wait_for("a failed task", lambda: self.failed_since(start), 60, 0.02)
        wait_for("Swarm's rollback", lambda: self.scene.update_state(self.service).startswith("rollback"), 60)
        settled = self.settled()
        done = "rollback_completed"
        wait_for("its end", lambda: self.scene.update_state(self.service) == done, 60)
        return settled - began

    def settled(self) -> float:
        """When every replica runs the good release and answers with it."""

        def good() -> bool:
            return self.asked("version", lambda a: a.text.strip()) == [GOOD] * REPLICAS

        tags = [GOOD] * REPLICAS
        wait_for("every replica", lambda: self.scene.running_tags(self.service) == tags and good(), 120, 0.02)
        return time.time()

    def failed_since(self, start: float) -> float:
        """When the first task that failed after *start* did so; 0 while there is none."""
        failed = [t["Status"] for t in self.scene.tasks(self.service) if t["Status"]["State"] == "failed"]
        return min((at for s in failed if (at := moment(s["Timestamp"])) > start), default=0.0)

    def asked(self, path: str, what: Callable[[requests.Response], Any]) -> list[Any]:
        """*what* of the answer of every node that answers."""
        found = []
        for address in self.scene.addresses():
            try:
                found.append(what(requests.get(f"http://{address}:{self.port}/{path}", timeout=0.5)))
            except requests.RequestException:
                continue
        return found
