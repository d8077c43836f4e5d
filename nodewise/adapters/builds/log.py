"""What an engine prints, record by record, made into log lines, a result, and the words of a failure.

Pure: records in, lines out. Progress bars are collapsed: of each layer one line for each thing it does.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from nodewise.adapters.builds.lines import Lines
from nodewise.adapters.builds.masking import Mask

TAIL = 20  # lines of the log that go into an error
_STEP = re.compile(r"Step \d+/\d+ : ")
_BUILT = re.compile(r"Successfully built ([0-9a-f]{12,64})")
_NOISE = frozenset(("Waiting", "Preparing", "Downloading", "Extracting", "Pushing", "Verifying Checksum"))


class BuildLog:
    """The reader of one stream. ``lines_of`` every record in turn, then ``rest``. What it gives is masked."""

    def __init__(self, mask: Mask | None = None) -> None:
        self.image_id = ""
        self.digest = ""
        self.step = ""
        self.error = ""
        self._mask = mask or Mask()
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._lines = Lines()
        self._said: set[tuple[str, str]] = set()

    def lines_of(self, record: Mapping[str, Any]) -> list[str]:
        """The whole lines that *record* completes. An error is kept in ``error``; the engine sends no more."""
        aux = record.get("aux")
        if isinstance(aux, Mapping):
            self.image_id = aux.get("ID") or self.image_id
            self.digest = aux.get("Digest") or self.digest
        if record.get("error") or record.get("errorDetail"):
            detail = record.get("errorDetail") or {}
            self.refused(str(detail.get("message") or record.get("error")))
            return self.rest()
        if "stream" in record:
            return self._kept(self._lines.feed(str(record["stream"])))
        return self._status(record)

    def rest(self) -> list[str]:
        """The last line, where it has no end."""
        return self._kept(self._lines.rest())

    def refused(self, error: str) -> None:
        """The engine's words for why it did not do it."""
        self.error = self._mask(error.strip())

    def failure(self, what: str) -> str:
        """*what* failed: the step, the engine's words, and the last lines."""
        step = f" at {self.step}" if self.step else ""
        tail = "\n".join(self._tail)
        return f"{what} failed{step}: {self.error}" + (f"\n{tail}" if tail else "")

    def _status(self, record: Mapping[str, Any]) -> list[str]:
        status, layer = str(record.get("status") or ""), str(record.get("id") or "")
        if not status or status in _NOISE or record.get("progress") or (layer, status) in self._said:
            return []
        self._said.add((layer, status))
        return self._kept(Lines().feed((f"{layer}: {status}" if layer else status) + "\n"))

    def _kept(self, lines: Sequence[str]) -> list[str]:
        shown = [self._mask(line) for line in lines]
        for line in shown:
            if _STEP.match(line):
                self.step = line
            elif built := _BUILT.match(line):
                self.image_id = self.image_id or built.group(1)
        self._tail.extend(shown)
        return shown
