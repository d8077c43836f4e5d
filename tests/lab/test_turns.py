"""Who has the lab: shares and the one who is alone, told apart by open files, as between processes."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.lab.turns import Turns
from tests.product import ROOT, wait_for


class Other:
    """Somebody else, on a thread: asks for a turn, and keeps it until told otherwise."""

    def __init__(self, turn: AbstractContextManager[None]) -> None:
        self.inside, self.leave = threading.Event(), threading.Event()
        self._turn = turn
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._turn:
            self.inside.set()
            self.leave.wait(60)

    def end(self) -> None:
        self.leave.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def is_free(folder: Path, kind: int = fcntl.LOCK_EX, name: str = "room") -> bool:
    """Whether somebody who came now would get that lock at once."""
    with (folder / f"turns-{name}").open("w") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_many_share_and_who_is_alone_waits_for_all_of_them(tmp_path: Path):
    one, two = Other(Turns(tmp_path).shared()), Other(Turns(tmp_path).shared())
    assert one.inside.wait(60)
    assert two.inside.wait(60)
    alone = Other(Turns(tmp_path).alone())
    one.end()
    assert not alone.inside.is_set()
    two.end()
    assert alone.inside.wait(60)
    assert not is_free(tmp_path, fcntl.LOCK_SH)
    late = Other(Turns(tmp_path).shared())
    alone.end()
    assert late.inside.wait(60)
    late.end()


def test_newcomers_come_in_while_somebody_waits_to_be_alone_but_not_for_ever(tmp_path: Path):
    first = Other(Turns(tmp_path).shared())
    assert first.inside.wait(60)
    patient = Other(Turns(tmp_path, patience=3600).alone())
    second = Other(Turns(tmp_path).shared())
    assert second.inside.wait(60)
    impatient = Other(Turns(tmp_path, patience=0).alone())
    wait_for("the door to be shut", lambda: not is_free(tmp_path, fcntl.LOCK_SH, "door"))
    third = Other(Turns(tmp_path).shared())
    first.end()
    second.end()
    wait_for("one of the two", lambda: patient.inside.is_set() or impatient.inside.is_set())
    assert not third.inside.is_set()
    for other in (patient, impatient, third):
        other.leave.set()
    for other in (patient, impatient, third):
        other.end()
    assert third.inside.is_set()


@pytest.mark.parametrize("outer", ["shared", "alone"])
def test_turns_of_one_process_are_nested_and_the_strongest_counts(tmp_path: Path, outer: str):
    turns = Turns(tmp_path, patience=0)
    with getattr(turns, outer)():
        with turns.alone(), turns.shared():
            assert not is_free(tmp_path, fcntl.LOCK_SH)
        assert is_free(tmp_path, fcntl.LOCK_SH) == (outer == "shared")
        assert not is_free(tmp_path)
    assert is_free(tmp_path)


def test_what_a_killed_process_held_is_free(tmp_path: Path):
    code = (
        "import pathlib, signal, sys; from tests.lab.turns import Turns\n"
        "with Turns(pathlib.Path(sys.argv[1])).alone(): print('in', flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        assert not is_free(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
    assert is_free(tmp_path)
