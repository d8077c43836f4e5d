"""What no webhook told of is found by a look at the registry, and becomes what the webhook would have brought about."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from nodewise.domain.catching_up import AFTER_START
from nodewise.domain.images import ImageName
from nodewise.domain.locks import Lock
from nodewise.domain.rollout import Phase, Rollout
from nodewise.testing import App
from tests.simulated.parts import BAD, pushed
from tests.world import SWEEP, World, world

EVERY = 90.0


def lock(w: World, digest: str) -> None:
    w.deps.store.add_lock(Lock("web", digest, "not this one", "ann", w.clock.now()))


def digest(w: World, image: str) -> str:
    return ImageName.parse(w.pinned(image)).digest


def looked(w: World) -> None:
    """Let everything come of one more look at the registries."""
    w.wait(EVERY + 30)


def rollouts(w: World, service: str = "web") -> list[Rollout]:
    return w.deps.store.rollouts(service)


class Counting:
    """A registry that counts what it is asked."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.asked: Counter[str] = Counter()

    def tags(self, image: ImageName) -> Any:
        self.asked[f"tags of {image.path}"] += 1
        return self._inner.tags(image)

    def digest(self, image: ImageName) -> str:
        self.asked[f"{image.path}:{image.tag}"] += 1
        return self._inner.digest(image)


def test_a_missed_push_is_caught_up_within_the_interval():
    with world(catch_up=EVERY) as w:
        w.service(track="semver:^1")
        w.wait(10)
        for tag in ("1.2.0", "1.10.0", "2.0.0", "latest"):
            w.push(tag)
        w.wait(EVERY)
        caught_up = w.end(w.latest())
        assert (caught_up.phase, caught_up.origin) == (Phase.SUCCEEDED, "catch-up")
        assert w.running() == ["1.10.0"] * 3
        looked(w)
        assert len(rollouts(w)) == 1


@pytest.mark.parametrize("track", ["same", "glob:sta*", "regex:s.*"])
def test_a_tag_that_has_moved_is_caught_up_and_other_tags_are_not_where_the_last_push_wins(track):
    with world(catch_up=EVERY) as w:
        w.service("web", w.push("stable"), track=track)
        moved = digest(w, w.push("stable", start=1.0))
        w.push("staging")
        looked(w)
        assert w.end(w.latest()).phase is Phase.SUCCEEDED
        assert ImageName.parse(w.swarm.service("web").image).digest == moved
        looked(w)
        assert len(rollouts(w)) == 1


@pytest.mark.parametrize("app", [{}, BAD], ids=["good", "bad"])
def test_nothing_is_started_twice_when_the_webhook_comes_late(app):
    with world(catch_up=EVERY) as w:
        w.service(track="semver:^1")
        w.push("1.1.0", **app)
        w.run(lambda: rollouts(w))
        w.pushed("1.1.0")
        ended = w.end(w.latest())
        w.pushed("1.1.0")
        looked(w)
        written = [r for r in rollouts(w) if r.started_at is not None]
        assert [r.id for r in written] == [ended.id]
        assert w.running() == ["1.0.0" if app else "1.1.0"] * 3


def test_what_a_webhook_has_brought_already_is_not_caught_up():
    with world(catch_up=EVERY) as w:
        w.service(track="semver:^1")
        pushed(w, "1.1.0")
        w.end(w.run(lambda: w.deps.store.rollouts("web") and w.latest()))
        looked(w)
        assert [r.origin for r in rollouts(w)] == ["push of 1.1.0"]


def test_what_failed_or_was_taken_back_is_not_tried_again_by_itself():
    with world(catch_up=EVERY) as w:
        w.service(track="semver:^1")
        w.push("1.1.0", **BAD)
        looked(w)
        assert w.end(w.latest()).phase is Phase.ROLLED_BACK
        w.deps.store.remove_locks("web", "ann", w.clock.now())
        looked(w)
        assert len(rollouts(w)) == 1


def test_a_person_who_went_back_is_not_overruled():
    with world(catch_up=EVERY) as w:
        w.service(track="semver:^1")
        w.end(w.deploy(w.push("1.1.0")))
        w.end(w.rollback())
        looked(w)
        assert w.running() == ["1.0.0"] * 3
        assert len(rollouts(w)) == 2


def test_a_locked_digest_stays_alone_and_a_locked_service_catches_up_once_it_is_free():
    with world(catch_up=EVERY) as w:
        w.service(track="semver:^1")
        lock(w, digest(w, w.push("1.1.0")))
        looked(w)
        assert rollouts(w) == []
        lock(w, "")
        w.push("1.2.0")
        looked(w)
        assert rollouts(w) == []
        w.deps.store.remove_locks("web", "ann", w.clock.now())
        looked(w)
        assert w.running() == ["1.2.0"] * 3


def test_a_service_that_has_had_it_is_left_alone_where_another_one_has_missed_it():
    with world(catch_up=EVERY) as w:
        w.service(track="semver:^1")
        w.service("shop", w.image("1.0.0"), track="semver:^1")
        w.end(w.deploy(w.push("1.1.0")))
        w.end(w.rollback())
        looked(w)
        assert (w.running("web"), w.running("shop")) == (["1.0.0"] * 3, ["1.1.0"] * 3)
        assert len(rollouts(w)) == 2


def test_a_registry_that_is_away_is_tried_again_later_and_others_go_on():
    with world(catch_up=EVERY) as w:
        w.service(track="semver:^1")
        w.swarm.push("other.test/shop:1.0.0", App())
        w.service("shop", "other.test/shop:1.0.0", track="semver:^1")
        w.push("1.1.0")
        w.swarm.push("other.test/shop:1.1.0", App())
        w.swarm.registry.gone.add("other.test")
        looked(w)
        assert (w.running("web"), w.running("shop")) == (["1.1.0"] * 3, ["1.0.0"] * 3)
        w.swarm.registry.gone.clear()
        looked(w)
        assert w.running("shop") == ["1.1.0"] * 3


def test_a_swarm_that_is_away_for_longer_than_the_job_lives_is_looked_at_once_it_is_back():
    with world(catch_up=EVERY) as w:
        w.service(track="semver:^1")
        w.push("1.1.0")
        w.swarm.cut_off = True
        w.wait(5 * EVERY)
        w.swarm.cut_off = False
        looked(w)
        assert w.running() == ["1.1.0"] * 3
        assert w.deps.store.outbox_size() == 0


def test_it_is_off_by_the_setting():
    with world(catch_up=0.0) as w:
        w.service(track="semver:^1")
        w.push("1.1.0")
        w.wait(2 * EVERY)
        assert rollouts(w) == []


def test_services_of_one_repository_share_each_question_and_helpers_and_others_are_asked_nothing_for():
    with world(catch_up=EVERY) as w:
        registry = Counting(w.swarm.registry)
        w.deps = replace(w.deps, registry=registry)
        w.service("a", w.push("1.0.0"), track="semver:^1")
        w.service("b", w.image("1.0.0"), track="semver:~1.0")
        w.service("c", w.push("stable"), track="same")
        w.service("not-followed", w.push("1.0.0", "api"))
        w.service("misconfigured", w.push("1.0.0", "db"), track="semver:^1", trak="same")
        registry.asked.clear()
        looked(w)
        assert registry.asked == {"tags of web": 1, "web:1.0.0": 1, "web:stable": 1}


def test_a_start_looks_at_once_but_many_starts_do_not_flood():
    with world(catch_up=EVERY) as w:
        registry = Counting(w.swarm.registry)
        w.deps = replace(w.deps, registry=registry)
        w.service(track="semver:^1")
        w.wait(60)
        registry.asked.clear()
        for _ in range(10):
            w.clock.advance(2)
            w.deps = w.new_worker(registry=registry)
            w.perform(SWEEP)
            w.step()
        assert registry.asked["tags of web"] == 1
        w.wait(AFTER_START)
        assert registry.asked["tags of web"] == 2, "the last one's own look"
        w.wait(EVERY)
        assert registry.asked["tags of web"] == 3
