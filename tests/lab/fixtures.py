"""Pytest fixtures for the lab. Without root or its packages its tests are skipped loudly; in CI that is a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, _data_of_running, why_not


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
