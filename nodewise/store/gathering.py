"""What many threads ask to be written at the same time is written at once: one transaction, one sync of the disk.

Who comes first writes, with everything that has gathered until then; who comes meanwhile gathers for the next one.
So nobody waits for company, and a burst needs no more transactions than the disk can sync. Knows nothing of what
is written.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class _Place(Generic[A, B]):
    """One item among those that gather, and what came of it."""

    def __init__(self, item: A) -> None:
        self.item = item
        self.done = False
        self.result: B | Exception


class Gathering(Generic[A, B]):
    """*write*, shared by threads: it gets several items, and gives as many results or errors in the same order.

    What it raises itself is raised for each of them. After a fork the child gathers for itself.
    """

    def __init__(self, write: Callable[[Sequence[A]], Sequence[B | Exception]]) -> None:
        self._write = write
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._turn = threading.Lock()
        self._coming: list[_Place[A, B]] = []

    def put(self, item: A) -> B:
        """What came of *item* once it is written, with all that gathered beside it."""
        if self._pid != os.getpid():
            self._begin()
        place: _Place[A, B] = _Place(item)
        self._coming.append(place)  # atomic, as is the swap below
        with self._turn:
            if not place.done:
                self._write_all()
        if isinstance(place.result, Exception):
            raise place.result
        return place.result

    def _write_all(self) -> None:
        gathered, self._coming = self._coming, []
        try:
            results = self._write([p.item for p in gathered])
        except Exception as error:
            results = [error] * len(gathered)
        for place, result in zip(gathered, results, strict=True):
            place.result, place.done = result, True
