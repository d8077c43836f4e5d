"""What several stories on the simulated swarm share."""

from __future__ import annotations

from tests.world import World

BAD = {"exits_after": 1.0, "exit_code": 3, "last_words": ("cannot find the configuration",)}


def midway(w: World, service: str = "web", tag: str = "1.1.0") -> None:
    """Let time go by until some of the service's tasks are *tag*, and some are not."""
    w.run(lambda: 0 < w.running(service).count(tag) < len(w.running(service)))
