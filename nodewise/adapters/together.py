"""One answer for all who ask at the same time: a long list is read once for a burst of questions.

Nobody gets an answer that is older than the question: who comes while a reading is under way gets the next one.
Knows nothing of what is read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Reading(Generic[T]):
    """What a reading gave, once it is done: a value, or an error for each who asked."""

    def __init__(self) -> None:
        self.done = False
        self.value: T
        self.error: Exception | None = None

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return self.value


class Together(Generic[T]):
    """*read*, shared by threads. After a fork the child reads for itself."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._coming: _Reading[T] = _Reading()

    def ask(self) -> T:
        """What *read* returns or raises, from a call that began after this one did."""
        if self._pid != os.getpid():
            self._begin()
        reading = self._coming
        with self._lock:  # one reads, and those who wait here look whether it was for them too
            if not reading.done:
                self._coming = _Reading()  # who asks from now on is too late for this one
                try:
                    reading.value = self._read()
                except Exception as error:
                    reading.error = error
                reading.done = True
        return reading.result()
