"""Answers that are shared by those who ask at the same time, and never older than the question."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from nodewise.adapters.together import Together
from tests.product import wait_for


class Slow:
    """A reading that lasts until it is let go, and gives its own number."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Semaphore(0)

    def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        assert self.go.acquire(timeout=60)
        return number


def waiting(answers: list[Future[int]]) -> bool:
    return all(answer.running() for answer in answers)


def test_who_asks_while_a_reading_is_under_way_shares_the_next_one():
    read = Slow()
    shared = Together(read)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(shared.ask)
        wait_for("the first reading", lambda: read.begun == 1)
        late = [pool.submit(shared.ask) for _ in range(7)]
        wait_for("seven who wait", lambda: waiting(late))
        read.go.release()
        assert first.result(60) == 1
        read.go.release(7)
        answers = [answer.result(60) for answer in late]
    assert min(answers) == 2, "none was answered by a reading that had begun before it asked"
    assert read.begun < 8, "nor did each read for itself"


def test_one_after_the_other_each_reads_anew():
    numbers = iter(range(3))
    shared = Together(lambda: next(numbers))
    assert [shared.ask() for _ in range(3)] == [0, 1, 2]


def test_an_error_is_for_those_who_asked_and_the_next_reading_is_a_new_one():
    answers = iter([ValueError("away"), 7])

    def read() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = Together(read)
    with pytest.raises(ValueError, match="away"):
        shared.ask()
    assert shared.ask() == 7


def test_a_child_forked_in_the_middle_of_a_reading_reads_for_itself():
    read = Slow()
    shared = Together(read)
    thread = threading.Thread(target=shared.ask)
    thread.start()
    wait_for("the reading", lambda: read.begun == 1)
    child = os.fork()
    if child == 0:
        read.go.release()
        os._exit(0 if shared.ask() == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    read.go.release()
    thread.join(60)
