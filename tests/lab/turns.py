"""Who has the lab: many who share it, or one alone. One lock a machine, over processes and checkouts.

Who only puts services of its own on the swarm shares it. Who kills, stops, cuts or drains a node is alone, since
every other one would see its services move. Locks are flock(2)'s: those of a process that has ended are free.
Knows nothing of nodes, and nothing of pytest.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.lab.node import RUN

PATIENCE = 60.0  # seconds for which one who wants to be alone lets newcomers in


class Turns:
    """One process's part in the lock. Holds may be nested: alone is more than shared, and what is held is enough.

    A process that shares and wants to be alone gives its share up first, so that two of them cannot wait for
    each other: another one may be alone in between.
    """

    def __init__(self, folder: Path = RUN, patience: float = PATIENCE) -> None:
        self._folder = folder
        self._patience = patience
        self._room: IO[str] | None = None
        self._holds: list[int] = []

    @contextmanager
    def shared(self) -> Iterator[None]:
        """With others who share, and with nobody who is alone."""
        with self._held(fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """With nobody else."""
        with self._held(fcntl.LOCK_EX):
            yield

    @contextmanager
    def _held(self, kind: int) -> Iterator[None]:
        before = self._kind()
        self._holds.append(kind)
        try:
            self._change(before)
            yield
        finally:
            before = self._kind()
            self._holds.remove(kind)
            self._change(before)

    def _kind(self) -> int:
        """The strongest of what is held."""
        if not self._holds:
            return fcntl.LOCK_UN
        return fcntl.LOCK_EX if fcntl.LOCK_EX in self._holds else fcntl.LOCK_SH

    def _change(self, before: int) -> None:
        now = self._kind()
        if now == before:
            return
        if self._room is not None:
            self._room.close()
            self._room = None
        if now == fcntl.LOCK_SH:
            self._room = self._enter()
        elif now == fcntl.LOCK_EX:
            self._room = self._enter_alone()

    def _enter(self) -> IO[str]:
        room = self._open("room")
        with self._open("door") as door:  # shut while one who wants to be alone has waited long enough
            fcntl.flock(door, fcntl.LOCK_SH)
            fcntl.flock(room, fcntl.LOCK_SH)
        return room

    def _enter_alone(self) -> IO[str]:
        room = self._open("room")
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            try:
                fcntl.flock(room, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return room
            except BlockingIOError:
                time.sleep(0.1)
        with self._open("door") as door:  # whoever is in may stay, nobody else comes in
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(room, fcntl.LOCK_EX)
        return room

    def _open(self, name: str) -> IO[str]:
        self._folder.mkdir(parents=True, exist_ok=True)
        return (self._folder / f"turns-{name}").open("w")


TURNS = Turns()


@contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """For what the machine has once, such as a fixed port: whoever comes later waits."""
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / f"only-one-{what}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
