"""One scene a file: a registry and a Nodewise wired to it. Every test has services of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.scene import Scene, open_scene


@pytest.fixture(scope="module")
def scene(_lab: Lab, request: pytest.FixtureRequest) -> Iterator[Scene]:
    name = Path(request.node.name).stem.removeprefix("test_")
    with open_scene(name) as opened:
        opened.app("1.0.0")
        opened.app("1.1.0", push=False)
        yield opened


@pytest.fixture(autouse=True)
def _gone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Services end with their test: the next one's ports and events are its own."""
    yield
    if "scene" in request.fixturenames:
        request.getfixturevalue("scene").remove()
