"""What gathers while another writes is written at once, each with its own outcome."""

from __future__ import annotations

import threading

import pytest

from nodewise.store.gathering import Gathering


class Disk:
    """Writes one batch after the other, the first one only once it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.first = threading.Event()
        self.begun = threading.Event()

    def write(self, items):
        self.batches.append(list(items))
        if len(self.batches) == 1:
            self.begun.set()
            assert self.first.wait(10)
        if any(i < 0 for i in items):
            raise OSError("the disk is full")
        return [ValueError(f"{i} is odd") if i % 2 else i * 10 for i in items]


def ask(gathering: Gathering[int, int], item: int, found: dict[int, object]) -> threading.Thread:
    def run() -> None:
        try:
            found[item] = gathering.put(item)
        except Exception as error:
            found[item] = str(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def story(*items: int) -> tuple[Disk, dict[int, object]]:
    """0 is written first; *items* come while it is."""
    disk, found = Disk(), {}
    gathering = Gathering(disk.write)
    threads = [ask(gathering, 0, found)]
    assert disk.begun.wait(10)
    threads += [ask(gathering, item, found) for item in items]
    while len(gathering._coming) < len(items):
        pass
    disk.first.set()
    for thread in threads:
        thread.join(10)
    return disk, found


def test_who_comes_while_another_is_written_goes_with_the_next_all_at_once():
    disk, found = story(2, 4, 6)
    assert [sorted(batch) for batch in disk.batches] == [[0], [2, 4, 6]]
    assert found == {0: 0, 2: 20, 4: 40, 6: 60}


def test_each_gets_its_own_outcome_and_one_that_fails_fails_alone():
    _, found = story(2, 3)
    assert found == {0: 0, 2: 20, 3: "3 is odd"}


def test_what_the_writing_itself_raises_is_raised_for_all_of_that_batch_and_for_no_other():
    disk, found = story(2, -4)
    assert found == {0: 0, 2: "the disk is full", -4: "the disk is full"}
    gathering = Gathering(disk.write)
    assert gathering.put(8) == 80


def test_one_alone_waits_for_nobody():
    disk = Disk()
    disk.first.set()
    assert Gathering(disk.write).put(2) == 20
    with pytest.raises(ValueError, match="odd"):
        Gathering(disk.write).put(3)
