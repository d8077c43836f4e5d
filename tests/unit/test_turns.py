"""Writers of several processes go on one after the other, without SQLite's patience, and no death blocks the line."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nodewise.store.database import Database
from nodewise.store.turns import Turns
from tests.product import wait_for

WRITES = 200


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "nodewise.db.lock"


def fork(run: Callable[[], None]) -> int:
    """*run* in a child; exit code 1 if it raises."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run()
            code = 0
        finally:
            os._exit(code)
    return pid


def code_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def stands_in_line(pid: int) -> bool:
    """Whether the kernel lets *pid* wait for an flock (proc(5), locks)."""
    return any("-> FLOCK" in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())


def test_processes_that_write_at_once_need_none_of_sqlites_patience(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/nodewise.db"
    with closing(Database(url)) as database, database.write() as c:
        c.exec_driver_sql("CREATE TABLE t (n INTEGER)")

    def write_all() -> None:
        database = Database(url)
        for n in range(WRITES):
            with database.read() as c:
                c.exec_driver_sql("PRAGMA busy_timeout=0")  # its connection is the one that the pool gives next
            with database.write() as c:
                c.exec_driver_sql("INSERT INTO t VALUES (?)", (n,))

    assert [code_of(pid) for pid in [fork(write_all) for _ in range(3)]] == [0, 0, 0]
    with closing(sqlite3.connect(tmp_path / "nodewise.db")) as c:
        assert c.execute("SELECT count(*) FROM t").fetchone() == (3 * WRITES,)
    assert (tmp_path / "nodewise.db.lock").stat().st_mode & 0o777 == 0o600


def test_a_child_does_not_have_its_parents_turn(file: Path):
    turns = Turns(file)

    def child() -> None:
        with turns.after_fork():
            pass

    with turns:
        pid = fork(child)
        wait_for("the child to stand in line", lambda: stands_in_line(pid), 30)
    assert code_of(pid) == 0


def test_who_is_killed_leaves_the_turn_to_the_next_though_a_child_lives_on(file: Path):
    reading, writing = os.pipe()

    def parent() -> None:
        turns = Turns(file)
        with turns:
            child = fork(lambda: (turns.after_fork(), os.write(writing, b"%d" % os.getpid()), signal.pause()))
            os.waitpid(child, 0)

    pid = fork(parent)
    child = int(os.read(reading, 20))
    waiting = fork(lambda: Turns(file).__enter__())
    wait_for("the other one to stand in line", lambda: stands_in_line(waiting), 30)
    os.kill(pid, signal.SIGKILL)
    assert code_of(waiting) == 0
    assert code_of(pid) == -signal.SIGKILL
    os.kill(child, signal.SIGKILL)


def test_a_thread_that_has_the_turn_may_take_it_within_and_keeps_it_until_the_outer_end(file: Path):
    turns = Turns(file)
    with turns:
        with turns:
            pass
        pid = fork(lambda: Turns(file).__enter__())
        wait_for("another to stand in line", lambda: stands_in_line(pid), 30)
    assert code_of(pid) == 0


def test_where_no_file_can_be_made_threads_take_turns_all_the_same(tmp_path: Path):
    turns = Turns(tmp_path / "no" / "such" / "folder")
    has_it = threading.Event()
    with turns:
        threading.Thread(target=lambda: (turns.__enter__(), has_it.set())).start()
        assert not has_it.wait(0.05)
    assert has_it.wait(10)


def test_a_turn_that_is_interrupted_while_it_is_waited_for_is_nobodys(file: Path):
    """As by a signal whose handler raises: the thread holds nothing afterwards."""
    turns = Turns(file)
    reading, writing = os.pipe()

    def holder() -> None:
        with Turns(file):
            os.write(writing, b".")
            signal.pause()

    pid = fork(holder)
    os.read(reading, 1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    this = os.getpid()
    helper = threading.Thread(
        target=lambda: (wait_for("it to wait", lambda: stands_in_line(this), 30), os.kill(this, signal.SIGUSR1))
    )
    helper.start()
    try:
        with pytest.raises(KeyboardInterrupt), turns:
            pass
    finally:
        signal.signal(signal.SIGUSR1, before)
        helper.join()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    taken = threading.Event()
    threading.Thread(target=lambda: (turns.__enter__(), taken.set())).start()
    assert taken.wait(10)
