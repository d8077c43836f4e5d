"""Processes that outlive their starter, recorded so that only they are ever stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def run(*command: str, check: bool = True) -> str:
    """Run a command and return what it printed; its error output is in the exception."""
    done = subprocess.run(command, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def wait_until(what: str, look: Callable[[], object], seconds: float = 120.0, every: float = 0.05) -> None:
    """Wait for a condition; RuntimeError names it when it does not come."""
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds:g} s for {what}")
        time.sleep(every)


def start_time(pid: int) -> str:
    """A process's start in clock ticks: with the pid it names one process for ever (proc(5), stat).

    Empty for one that has ended, even while its parent, who may be another test worker, has not taken note of it.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


class Recorded:
    """One process, recorded in a file as pid and start time."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @property
    def pid(self) -> int:
        """The pid if that very process still runs, else 0."""
        try:
            pid, started = self.file.read_text().split()
        except (OSError, ValueError):
            return 0
        return int(pid) if start_time(int(pid)) == started else 0

    def start(self, command: Sequence[str], log: Path) -> None:
        with log.open("ab") as out:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        self.file.write_text(f"{child.pid} {start_time(child.pid)}")

    def stop(self, seconds: float = 15.0) -> None:
        """SIGTERM, then SIGKILL."""
        pid = self.pid
        if pid:
            _signal(pid, signal.SIGTERM)
            try:
                wait_until(f"process {pid} to end", lambda: not alive(pid), seconds)
            except RuntimeError:
                _signal(pid, signal.SIGKILL)
        self.file.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether *pid* runs; a zombie of our own is waited for."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill_all(pids: Sequence[int]) -> None:
    """SIGKILL to *pids* and everything below them, as when a machine loses its power."""
    whole = {p for pid in pids for p in [pid, *descendants(pid)]} - {os.getpid()}
    for pid in whole:
        _signal(pid, signal.SIGKILL)
    wait_until("killed processes to be gone", lambda: not any(alive(p) for p in whole))


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(c) for c in task.read_text().split()]
        except OSError:
            continue
        found += [d for c in children for d in [c, *descendants(c)]]
    return found


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
