"""What several workers of one machine share below one folder: locks, and rooms for what is only there for a while.

Who holds something holds a file's lock (flock), which the kernel takes back however a process ends, in any container
on this machine: what nobody holds any more is cleared by whoever comes next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nodewise.domain.errors import RetryLater

_PAUSE = 0.05  # seconds between two tries for a lock


@contextmanager
def room(folder: Path) -> Iterator[Path]:
    """An empty folder below *folder*, of mode 0700, until the end; a killed process' is removed by the next one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("a") as door:
        fcntl.flock(door, fcntl.LOCK_EX)  # held for a moment by everybody
        _clear(folder)
        mine = Path(tempfile.mkdtemp(dir=folder))
        held = (mine / "held").open("w")
        fcntl.flock(held, fcntl.LOCK_EX)
    with held:
        try:
            yield mine
        finally:
            shutil.rmtree(mine, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Remove the rooms that nobody holds."""
    for old in folder.iterdir():
        if old.is_dir() and not _is_held(old / "held"):
            shutil.rmtree(old, ignore_errors=True)


def _is_held(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # killed before it held anything
    return False


@contextmanager
def alone(path: Path, until: float, what: str) -> Iterator[Callable[[int], None]]:
    """Hold the lock *path*; raises RetryLater, naming *what*, when others do until *until* (of the monotonic clock).

    What it gives is to be told of each process that works under the lock. One that has outlived its killed holder is
    ended first, with its group.
    """
    with path.open("a+") as file:
        while not _taken(file):
            if time.monotonic() >= until:
                raise RetryLater(f"another build is busy with {what}", delay=5.0)
            time.sleep(_PAUSE)
        os.utime(file.fileno())
        _end_left_over(file)
        yield lambda pid: _note(file, pid)


@contextmanager
def if_unused(path: Path, since: float) -> Iterator[bool]:
    """Whether nobody has taken the lock *path* since *since* (Unix seconds); if so, it is held until the end."""
    with path.open("a+") as file:
        yield _taken(file) and os.fstat(file.fileno()).st_mtime < since


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _note(file: IO[str], pid: int) -> None:
    file.seek(0)
    file.truncate()
    file.write(f"{pid} {_began(pid)}")
    file.flush()


def _end_left_over(file: IO[str]) -> None:
    file.seek(0)
    pid, _, began = file.read().partition(" ")
    if began and _began(int(pid)) == began:  # and not another process of that number, here or in another container
        with suppress(OSError):
            os.killpg(int(pid), signal.SIGKILL)


def _began(pid: int) -> str:
    """When a process began, in the kernel's own count; empty where there is none, or no such count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
