"""The lab for pytest. Without root or its packages its tests are skipped loudly; in CI that is a failure.

Tests marked ``lab`` share the one lab of the machine with whoever else uses it, in this run or in another. Those
that are marked ``alone`` as well have it for themselves, and it is repaired after them.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab import shell
from tests.lab.lab import Lab, in_use, why_not
from tests.lab.registry import Registry
from tests.lab.turns import TURNS


class Turn:
    """What this process holds of the lab from test to test: a file keeps its share for as long as its scene lives."""

    def __init__(self) -> None:
        self._held: str | Path | None = None
        self._hold = ExitStack()

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around the test's time limit: waiting does not count
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        self._turn_to(wanted(item))
        try:
            return (yield)
        finally:
            if nextitem is None or wanted(nextitem) != self._held:
                self._turn_to(None)

    def _turn_to(self, turn: str | Path | None) -> None:
        if turn == self._held:
            return
        self._hold.close()
        if turn:
            self._hold.enter_context(TURNS.alone() if turn == "alone" else TURNS.shared())
        self._held = turn


def wanted(item: pytest.Item) -> str | Path | None:
    """What *item* has to hold: the whole lab, a share in its file's name, or nothing."""
    if item.get_closest_marker("lab") is None or why_not():
        return None
    return "alone" if item.get_closest_marker("alone") else item.path


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Turn())
    if not hasattr(config, "workerinput") and not why_not():  # workers come and go; whoever runs them uses the lab
        using = ExitStack()
        using.enter_context(in_use())
        config.add_cleanup(using.close)


@pytest.fixture(scope="session")
def _lab() -> Lab:
    if reason := why_not():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return Lab.up()


@pytest.fixture(autouse=True)
def _lab_where_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    marked = request.node.get_closest_marker("lab")
    if marked:
        request.getfixturevalue("_lab")
    yield
    if marked and request.node.get_closest_marker("alone"):
        Lab.up()


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
