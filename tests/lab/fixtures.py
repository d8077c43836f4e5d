"""Pytest fixtures for the lab. Without root or its packages its tests are skipped loudly; in CI that is a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab import shell
from tests.lab.lab import Lab, _data_of_running, why_not
from tests.lab.registry import Registry


@pytest.fixture(scope="session")
def _lab() -> Iterator[Lab]:
    if reason := why_not():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    running = _data_of_running() is not None
    yield Lab.up()
    if not running and not os.environ.get("NODEWISE_LAB_KEEP"):
        Lab.down()


@pytest.fixture
def lab(_lab: Lab) -> Lab:
    """The lab, whole: whatever an earlier test has done to it is repaired first."""
    return Lab.up()


@pytest.fixture(scope="session")
def registry(_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    opened = _lab.open_registry(tmp_path_factory.mktemp("registry"))
    yield opened
    opened.stop()


@pytest.fixture(scope="session")
def pinned_images(_lab: Lab, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A small shell as ``app:v1`` and ``app:v2``."""
    folder = tmp_path_factory.mktemp("shell")
    shell.context(folder)
    with _lab["m1"].client() as client:
        return shell.pushed(client, folder, registry, "v1"), shell.pushed(client, folder, registry, "v2")
