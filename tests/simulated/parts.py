"""What several stories on the simulated swarm share."""

from __future__ import annotations

from typing import Any

from tests.world import World

CLOSED = {"replicas": 2, "track": "semver:^1", "window": "!mon-sun 00:00-08:10"}  # opens within a quarter of an hour
BAD = {"exits_after": 1.0, "exit_code": 3, "last_words": ("cannot find the configuration",)}


def midway(w: World, service: str = "web", tag: str = "1.1.0") -> None:
    """Let time go by until some of the service's tasks are *tag*, and some are not."""
    w.run(lambda: 0 < w.running(service).count(tag) < len(w.running(service)))


def pushed(w: World, tag: str, **app: Any) -> str:
    """Push a release, of which its registry tells; its image name."""
    image = w.push(tag, **app)
    w.pushed(tag)
    return image
