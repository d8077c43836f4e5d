"""For the whole suite: its fixtures, and how it is cut for several workers.

A file's tests run in one worker, so that its scene is opened once. Tests that are alone on the lab go to one worker:
in several they could only wait for each other. They come first, while the others do what needs no lab. Then comes
what shares it. Of both, what takes longest is first, so that no worker is left with much when the others are done.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController

pytest_plugins = ["tests.lab.fixtures"]

WORKERS = 4  # on two cores; most tests wait for the swarm

settings.register_profile("nodewise", settings(), deadline=None)  # no timed assertion: the machine may be busy
settings.register_profile("deep", settings(), deadline=None, max_examples=2000)  # --hypothesis-profile=deep
settings.load_profile("nodewise")


class ByFile(LoadGroupScheduling):
    """One worker a file, but for tests of a group.

    A worker begins a test only when it knows the one after it. So it gets its next file with the last test of the one
    before; and with a file of a single test, which may take long, the file that takes least.
    """

    def _split_scope(self, nodeid: str) -> str:
        return super()._split_scope(nodeid).partition("::")[0]

    def _reschedule(self, node: WorkerController) -> None:
        if not self.workqueue or self._pending_of(self.assigned_work[node]) <= 1:
            super()._reschedule(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if not self.workqueue:
            return  # a file of a single test has taken the last one along
        tests = next(iter(self.workqueue.values()))
        super()._assign_work_unit(node)
        if len(tests) == 1 and self.workqueue:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
            super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    config.option.loadscopereorder = False  # by the number of tests; ours are in their order already
    return ByFile(config, log)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """``-n auto``: none for tests of one file, or for those with a certain name."""
    paths = [Path(argument) for argument in config.args]
    files = sum(len(list(path.rglob("test_*.py"))) if path.is_dir() else path.is_file() for path in paths)
    return min(WORKERS, files) if files > 1 and not config.option.keyword else 0


def pytest_itemcollected(item: pytest.Item) -> None:
    if is_alone(item):
        item.add_marker(pytest.mark.xdist_group("alone"))


@pytest.hookimpl(trylast=True)  # once pytest-xdist has named the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        if config.getvalue("loadgroup"):
            assert all(i.nodeid.endswith("@alone") for i in items if is_alone(i)), "groups are lost"
        on_the_lab = {item.path for item in items if item.get_closest_marker("lab") and not is_alone(item)}
        items.sort(key=lambda item: order(item, item.path in on_the_lab))


def is_alone(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("alone") and item.get_closest_marker("lab"))


def order(item: pytest.Item, on_the_lab: bool) -> tuple[int, float]:
    """Alone on the lab; without it; on it. Each by the seconds that its file is said to take.

    *on_the_lab*: some of its file's tests share the lab. All of them come late then: one worker has them all, and would
    wait for the lab in the middle of them.
    """
    if is_alone(item):
        return 0, 0.0
    seconds = item.get_closest_marker("seconds")
    return (2 if on_the_lab else 1), -seconds.args[0] if seconds else 0.0
