"""Many rollouts at once on a simulated swarm of 500 nodes, by one worker process with its watcher: what it costs.

Rollouts of ten steps, all begun at once. CPU time is that of this one process, without what the simulated swarm needs
to live through its own time: a real one does that elsewhere. Observed seconds are the swarm's (virtual) ones.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, field

import structlog

from nodewise.bootstrap import WATCHER
from nodewise.domain.rollout import Phase
from nodewise.domain.watching import Heard
from tests.bench.report import Bar, close
from tests.world import SECOND, World, world
from workers.watcher import View

SIZES = (10, 100, 1000)
NODES, STEPS = 500, 10
FLAT, CORES = 0.20, 1.0
ROUNDS = {10: 5, 100: 2, 1000: 1}  # a small one is over too soon to be measured once


@dataclass
class Cost:
    """CPU seconds of the worker, and virtual seconds, over which so many rollouts went on."""

    rollouts: int
    cpu: float
    swarm: float
    seconds: float
    looks: int

    @property
    def each(self) -> float:
        """Milliseconds of CPU per rollout and observed second."""
        return self.cpu * 1000 / self.rollouts / self.seconds


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    costs = {}
    for size in SIZES:
        rounds = sorted((measured(size) for _ in range(ROUNDS[size])), key=lambda c: c.each)
        costs[size] = cost = rounds[len(rounds) // 2]
        print(
            f"{size:>5} rollouts: {cost.seconds:.0f} s observed, worker {cost.cpu:.1f} s CPU"
            f" ({cost.each:.2f} ms per rollout and second, {cost.cpu / cost.seconds:.2f} cores,"
            f" {cost.looks / size:.0f} looks each), the simulated swarm itself {cost.swarm:.1f} s CPU",
            flush=True,
        )
    each = [costs[size].each for size in SIZES]
    middle = sorted(each)[len(each) // 2]
    return close(
        [
            Bar("scale flatness", max(abs(e / middle - 1) for e in each), "off the median", FLAT),
            Bar("scale 1,000 at once", costs[SIZES[-1]].cpu / costs[SIZES[-1]].seconds, "cores", CORES),
        ]
    )


def measured(size: int) -> Cost:
    with world(nodes=NODES) as w:
        image, new = w.push("1.0.0", start=2.0), w.push("1.1.0", start=2.0)
        names = [f"service-{n:04}" for n in range(size)]
        for name in names:
            w.swarm.create_service(spec(w, name, image))
        w.wait(30)
        gc.collect()
        return drive(w, names, new)


def spec(w: World, name: str, image: str) -> dict[str, object]:
    return {
        "Name": name,
        "Labels": {"nodewise.track": "semver:^1"},
        "TaskTemplate": {"ContainerSpec": {"Image": w.pinned(image)}},
        "Mode": {"Replicated": {"Replicas": STEPS}},
        "UpdateConfig": {"Parallelism": 1, "Delay": 5 * SECOND, "Monitor": 5 * SECOND, "FailureAction": "pause"},
    }


@dataclass
class Meter:
    """CPU time spent within the simulated swarm's own timeline."""

    spent: float = 0.0
    depth: int = field(default=0)

    def around(self, w: World) -> None:
        timeline = w.swarm._timeline
        run = timeline.run

        def timed(until: float) -> None:
            begun = time.process_time()
            run(until)
            self.spent += time.process_time() - begun

        timeline.run = timed  # type: ignore[method-assign]


def drive(w: World, names: list[str], image: str) -> Cost:
    meter, looks = Meter(), 0
    meter.around(w)
    w.deps.store.take_lease(WATCHER, "bench", 1e6, w.clock.now())
    view = View(w.deps, w.clock.now)
    began, cpu = w.clock.now(), time.process_time()
    for name in names:
        w.deploy(image, name)
    look_at = w.clock.now()
    while any(w.deps.store.going_rollouts()) or w.deps.store.outbox_size():
        second = w.clock.now() + 1.0
        while w.clock.now() < second:
            if w.clock.now() >= look_at:
                look_at = w.clock.now() + max(0.05, view.look(Heard()))
            looks += w.step(min(look_at, second))
    cost = Cost(len(names), time.process_time() - cpu - meter.spent, meter.spent, w.clock.now() - began, looks)
    ended = [r.phase for r in w.deps.store.rollouts(limit=len(names))]
    assert ended == [Phase.SUCCEEDED] * len(names), ended
    return cost
