"""For the whole suite: its fixtures, and how it is cut for several workers.

A file's tests run in one worker, so that its scene is opened once. Tests that are alone on the lab go to one worker:
in several they could only wait for each other. They come first, while the others do what needs no lab; then comes
what takes longest, so that no worker is left with it at the end.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadGroupScheduling

pytest_plugins = ["tests.lab.fixtures"]

WORKERS = 3  # on two cores; most tests wait for the swarm

settings.register_profile("nodewise", settings(), deadline=None)  # no timed assertion: the machine may be busy
settings.load_profile("nodewise")


class ByFile(LoadGroupScheduling):
    """One worker a file, but for tests of a group."""

    def _split_scope(self, nodeid: str) -> str:
        return super()._split_scope(nodeid).partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    config.option.loadscopereorder = False  # by the number of tests; ours are in their order already
    return ByFile(config, log)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """``-n auto``: none for tests of one file, or for those with a certain name."""
    paths = [Path(argument) for argument in config.args]
    files = sum(len(list(path.rglob("test_*.py"))) if path.is_dir() else path.is_file() for path in paths)
    return min(WORKERS, files) if files > 1 and not config.option.keyword else 0


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("alone"):
            item.add_marker(pytest.mark.xdist_group("alone"))
    if hasattr(config, "workerinput"):
        items.sort(key=order)


def order(item: pytest.Item) -> tuple[int, float]:
    """Alone on the lab; without it; on it, by the seconds that its file is said to take."""
    if item.get_closest_marker("alone"):
        return 0, 0.0
    seconds = item.get_closest_marker("seconds")
    return (2 if item.get_closest_marker("lab") else 1), -seconds.args[0] if seconds else 0.0
