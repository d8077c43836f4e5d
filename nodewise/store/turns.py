"""Whose turn it is to write to an SQLite file: the threads of a process stand in line, and so do processes.

SQLite itself only looks again, later and later, up to every tenth of a second (sqlite.org, pragma busy_timeout;
``sqliteDefaultBusyCallback`` in its main.c). Here whoever waits sleeps in the kernel and goes on at once. What keeps
writers apart is SQLite's own lock all the same: turns are for speed, and whoever takes none does no harm.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType


class Turns:
    """``with turns:`` waits for one's turn, without an end to it. A thread that has it may take it again within.

    *file* is what processes stand in line at, made when it is not there; where it cannot be opened or locked,
    only threads do. A process that dies leaves its turn to the next (flock(2)).
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._threads = threading.RLock()
        self._depth = 0
        self._handle = -1

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            if self._depth == 0:
                self._take()
            self._depth += 1
        except BaseException:
            self._give_back()
            raise

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._depth -= 1
        self._give_back()

    def after_fork(self) -> Turns:
        """The child's own. An flock belongs to the open file, which a fork shares: the child lets go of it, or it
        would have its parent's turn, and keep it after its parent's death.
        """
        self.close()
        return Turns(self._file)

    def close(self) -> None:
        """Let go of the file; the next turn opens it anew."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def _take(self) -> None:
        try:
            if self._handle < 0:
                self._handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        except OSError:
            self.close()

    def _give_back(self) -> None:
        try:
            if self._depth == 0 and self._handle >= 0:
                fcntl.flock(self._handle, fcntl.LOCK_UN)
        finally:
            self._threads.release()
