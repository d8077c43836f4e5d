"""1,000 deliveries, posted twice each in random order, the worker killed five times: each acted on exactly once.

A thousand services follow a tag of their own; each delivery says that one of these tags was pushed. The services
want no tasks, so that what is shown is the way from the delivery to the accepted update and the rollout's end.
"""

from __future__ import annotations

import collections
import itertools
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.product import wait_for
from tests.scene import HOOK_SECRET, Scene, open_scene

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.seconds(120)]

DELIVERIES = 1000
KILLS = 5
JOBS = "outbox WHERE verb <> 'watch'"  # looks for drift come one by one, for a while after so many changes


def test_a_thousand_deliveries_are_each_acted_on_exactly_once():
    with open_scene("deliveries", notify=False) as scene:
        old, new = scene.app("1.0.0"), scene.app("1.1.0")
        digest = scene.push(new)
        tags = [f"t{n}" for n in range(DELIVERIES)]
        services = dict(zip(create_services(scene, scene.pinned(old), tags), tags, strict=True))
        scene.tag_many(new, tags)
        post_all_twice(scene, [envelope(scene, new, tag, digest) for tag in tags])
        rollouts = wait_for("every rollout to end", lambda: all_ended(scene, services), 600, 1.0)

        per_service = collections.Counter(r["service"] for r in rollouts)
        assert set(per_service) == set(services), "none lost"
        assert set(per_service.values()) == {1}, "none acted on twice"
        assert {r["phase"] for r in rollouts} == {"succeeded"}
        running = {s["Spec"]["Name"]: s["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] for s in scene.services()}
        for service, tag in services.items():
            assert running[service].endswith(f":{tag}@{digest}")
        assert scene.count("deliveries") == DELIVERIES
        assert scene.count("events WHERE done_at IS NULL") == 0
        assert scene.count(JOBS) == 0


def create_services(scene: Scene, image: str, tags: list[str]) -> list[str]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda t: scene.create_service(t, image, replicas=0, track=f"glob:{t}"), tags))


def envelope(scene: Scene, image: str, tag: str, digest: str) -> bytes:
    """A registry's notification, in the shape that a real one sends (see tests/data/webhooks/distribution)."""
    host, _, path = image.partition(":1.1.0")[0].partition("/")
    event = {
        "id": f"{scene.name}-{tag}",
        "action": "push",
        "target": {
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "digest": digest,
            "repository": path,
            "tag": tag,
        },
        "request": {"host": host, "method": "PUT"},
    }
    return json.dumps({"events": [event]}).encode()


def post_all_twice(scene: Scene, bodies: list[bytes]) -> None:
    """From several connections at once, while the worker is killed again and again."""
    order = [*bodies, *bodies]
    random.Random(20).shuffle(order)  # a fixed order can be looked at again
    kill_at = {len(order) * n // (KILLS + 1) for n in range(1, KILLS + 1)}
    count, lock = itertools.count(1), threading.Lock()
    local = threading.local()

    def post(body: bytes) -> int:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        answer = local.session.post(
            f"{scene.product.url}/hooks/distribution",
            data=body,
            headers={"Authorization": f"Bearer {HOOK_SECRET}", "Content-Type": "application/json"},
            timeout=30,
        )
        with lock:
            if next(count) in kill_at:
                old = scene.product.kill("worker")
                scene.product.wait_restarted("worker", old)
        return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = collections.Counter(pool.map(post, order))
    assert statuses == {202: len(bodies), 200: len(bodies)}


def all_ended(scene: Scene, services: dict[str, str]) -> list[dict] | None:
    if scene.count("rollouts WHERE ended_at IS NOT NULL") < len(services) or scene.count(JOBS):
        return None
    return scene.rows("SELECT service, phase FROM rollouts")
