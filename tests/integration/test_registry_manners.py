"""How often a registry is asked: when it says to wait, when it fails, and when nothing is new."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from nodewise.adapters.registry.pauses import DAY, FIRST
from nodewise.domain.errors import RetryLater
from nodewise.testing import ManualClock
from tests.integration.registry_parts import DIGEST, FOUND, OTHER, Asked, Reply, Scripted, asking, image, scripted, told
from tests.ports import free_port


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "120"}, 120),
        (503, {"Retry-After": "120"}, 120),
        (429, {"Retry-After": "99999999"}, DAY),
        (429, {"RateLimit-Reset": "90"}, 90),
        (429, {}, FIRST),
        (429, {"Retry-After": "soon"}, FIRST),
        (500, {}, FIRST),
        (200, {"Docker-Content-Digest": DIGEST, "RateLimit-Remaining": "2;w=3600"}, 3600),
        (200, {"Docker-Content-Digest": DIGEST, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}, 60),
    ],
)
def test_a_registry_is_not_asked_again_before_it_says_so(server: Scripted, status, headers, seconds):
    server.reply = lambda _: Reply(status, headers=headers)
    clock = ManualClock(time.time())
    registry = asking(clock=clock)
    if status == 200:
        assert registry.digest(image(server.name)) == DIGEST
    else:
        told(lambda: registry.digest(image(server.name)), RetryLater)
    clock.advance(seconds - 2)
    assert "is not asked for another 2 s" in told(lambda: registry.tags(image(server.name)), RetryLater)
    server.reply = lambda _: FOUND
    clock.advance(3)
    assert registry.digest(image(server.name)) == DIGEST
    assert len(server.seen) == 2


def test_a_limit_with_room_left_stops_nobody(server: Scripted):
    server.reply = lambda _: Reply(headers={"Docker-Content-Digest": DIGEST, "RateLimit-Remaining": "76;w=21600"})
    registry = asking()
    assert registry.digest(image(server.name)) == registry.digest(image(server.name)) == DIGEST


def test_a_registry_that_fails_is_asked_less_and_less_often_and_others_as_before(server: Scripted):
    clock = ManualClock(time.time())
    registry = asking(clock=clock)
    gone = image(f"127.0.0.1:{free_port()}")
    server.reply = lambda _: FOUND
    for pause in (FIRST, 2 * FIRST, 4 * FIRST):
        assert "Connection refused" in told(lambda: registry.digest(gone), RetryLater)
        clock.advance(pause - 1)
        assert "is not asked for another 1 s" in told(lambda: registry.digest(gone), RetryLater)
        assert registry.digest(image(server.name)) == DIGEST
        clock.advance(1)


def test_what_is_known_already_is_not_sent_again(server: Scripted):
    known = {'"v1"': Reply(304), '"v2"': Reply(304)}
    state = {"tag": '"v1"', "digest": DIGEST, "tags": ["1.0"]}

    def reply(asked: Asked) -> Reply:
        if asked.headers.get("if-none-match") == state["tag"]:
            return known[str(state["tag"])]
        headers = {"ETag": str(state["tag"]), "Docker-Content-Digest": str(state["digest"])}
        return Reply(200, {"tags": state["tags"]} if asked.method == "GET" else b"", headers)

    server.reply = reply
    registry = asking()
    for _ in range(2):
        assert (registry.digest(image(server.name)), registry.tags(image(server.name))) == (DIGEST, ["1.0"])
    assert [a.headers.get("if-none-match", "") for a in server.seen] == ["", "", '"v1"', '"v1"']
    state.update(tag='"v2"', digest=OTHER, tags=["1.0", "1.1"])
    assert (registry.digest(image(server.name)), registry.tags(image(server.name))) == (OTHER, ["1.0", "1.1"])
