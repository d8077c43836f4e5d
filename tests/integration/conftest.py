"""The real swarm, as the adapters' tests want it: a manager, a worker, a registry with two images."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.swarm_parts import RealSwarm
from tests.lab.lab import Lab
from tests.lab.registry import Registry


@pytest.fixture
def swarm(lab: Lab, registry: Registry, pinned_images: tuple[str, str]) -> Iterator[RealSwarm]:
    parts = RealSwarm(lab, registry.address, *pinned_images)
    yield parts
    lab.await_whole()
    parts.clear()
