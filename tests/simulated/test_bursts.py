"""Several notifications of one push, some out of order, and tags that move: one rollout, to what the tag stands for."""

from __future__ import annotations

import pytest

from nodewise.domain.events import ImagePushed
from nodewise.domain.images import ImageName
from nodewise.domain.rollout import Phase, Rollout
from nodewise.intake import publish
from tasks import routing
from tests.world import World, world


def told(w: World, tag: str, digest: str) -> str:
    """A registry tells of a push; the outcome of the event."""
    name = ImageName.parse(w.image(tag))
    event, jobs = w.deps.store.add_event(ImagePushed(name.repository, tag, digest), "test", w.clock.now())
    publish(w.deps, jobs)

    def done() -> bool:
        stored = w.deps.store.event(event)
        return stored is not None and stored.done_at is not None

    w.run(done)
    stored = w.deps.store.event(event)
    assert stored is not None
    return stored.outcome


def digest(w: World, image: str) -> str:
    return ImageName.parse(w.pinned(image)).digest


def moved(w: World) -> list[Rollout]:
    """The rollouts that wrote the service."""
    return [r for r in w.deps.store.rollouts("web") if r.started_at is not None]


@pytest.mark.parametrize("first_ends", [True, False])
def test_one_digest_under_several_tags_is_one_rollout(first_ends):
    with world() as w:
        w.service(track="glob:*")
        found = digest(w, w.push("1.4.0"))
        for tag in ("1.4", "latest"):
            w.swarm.registry.tag(w.image("1.4.0"), tag)
        assert "rollout r-" in told(w, "1.4.0", found)
        if first_ends:
            w.end(w.latest())
        for tag in ("1.4", "latest", "1.4.0"):
            assert "left alone" in told(w, tag, found)
        w.end(w.latest())
        assert [r.phase for r in w.deps.store.rollouts("web")] == [Phase.SUCCEEDED]
        assert w.running() == ["1.4.0"] * 3


@pytest.mark.parametrize("order", [("1.5.0", "1.4.0", "1.6.0-rc.1"), ("1.4.0", "1.5.0", "1.3.0")])
def test_of_several_tags_in_one_push_that_are_planned_side_by_side_the_newest_is_rolled_out(order):
    with world() as w:
        w.service(track="semver:^1")
        planned = []
        for tag in order:
            name = ImageName.parse(w.push(tag))
            event = ImagePushed(name.repository, tag, digest(w, str(name)))
            planned.append(w.deps.store.add_event(event, "one push", w.clock.now())[0])
        matches = [match(w, event) for event in planned]  # none has seen what the others start
        for event, found in zip(planned, matches, strict=True):
            started = [r for m in found for r in m.rollouts]
            publish(w.deps, w.deps.store.finish_event(event, "", w.clock.now(), rollouts=started))
        w.run(lambda: w.deps.store.outbox_size() == 0)
        assert w.running() == ["1.5.0"] * 3
        assert [r.phase for r in w.deps.store.rollouts("web") if "1.4.0" in r.image] == [Phase.SUPERSEDED]


def match(w: World, event: str):
    stored = w.deps.store.event(event)
    return routing.route_image(w.deps, stored, stored.event)


def test_one_digest_under_several_tags_restarts_nothing_where_the_provider_tells_no_digest():
    with world() as w:
        w.service(track="glob:*")
        w.push("1.4.0")
        w.swarm.registry.tag(w.image("1.4.0"), "latest")
        told(w, "1.4.0", "")
        w.end(w.latest())
        told(w, "latest", "")
        again = w.end(w.latest())
        assert (again.phase, again.started_at) == (Phase.SUCCEEDED, None)
        assert len(moved(w)) == 1


def test_an_older_push_of_a_tag_that_is_told_of_late_does_not_come_back():
    with world() as w:
        w.service("web", w.push("stable"), track="same")
        older = digest(w, w.push("stable", start=1.0))
        newer = digest(w, w.push("stable", start=2.0))
        told(w, "stable", newer)
        w.end(w.latest())
        told(w, "stable", older)
        late = w.end(w.latest())
        assert (late.phase, late.started_at) == (Phase.SUCCEEDED, None), late.reason
        assert ImageName.parse(w.swarm.service("web").image).digest == newer


def test_a_tag_that_is_written_after_the_notification_is_waited_for():
    with world() as w:
        w.service("web", w.push("stable"), track="same")
        coming = digest(w, w.push("next"))
        told(w, "stable", coming)
        w.wait(1)
        assert w.latest().phase is Phase.PENDING
        w.swarm.registry.tag(w.image("next"), "stable")
        assert w.end(w.latest()).phase is Phase.SUCCEEDED
        assert ImageName.parse(w.swarm.service("web").image).digest == coming


def test_a_new_tag_that_never_comes_is_refused_by_its_name():
    with world() as w:
        w.service(track="semver:^1")
        told(w, "1.5.0", digest(w, w.push("other")))
        ended = w.end(w.latest())
        assert (ended.phase, "1.5.0" in ended.reason) == (Phase.FAILED, True), ended.reason
