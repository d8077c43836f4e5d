"""What a builder prints, record by record, made into log lines, a result, and the words of a failure.

Pure: records in, lines out. Progress bars are collapsed: of each layer one line for each thing it does.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_STEP = re.compile(r"Step \d+/\d+ : ")
_BUILT = re.compile(r"Successfully built ([0-9a-f]{12,64})")
_TAIL = 20  # lines of the log that go into an error
_NOISE = frozenset(("Waiting", "Preparing", "Downloading", "Extracting", "Pushing", "Verifying Checksum"))


class BuildLog:
    """The reader of one stream. ``lines_of`` every record in turn, then ``rest``."""

    def __init__(self, hidden: Sequence[str] = ()) -> None:
        self.image_id = ""
        self.digest = ""
        self.step = ""
        self.error = ""
        self._hidden = sorted((h for h in hidden if len(h) > 2), key=len, reverse=True)
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._open = ""
        self._said: set[tuple[str, str]] = set()

    def lines_of(self, record: Mapping[str, Any]) -> list[str]:
        """The whole lines that *record* completes. An error is kept in ``error``; the engine sends no more."""
        aux = record.get("aux")
        if isinstance(aux, Mapping):
            self.image_id = aux.get("ID") or self.image_id
            self.digest = aux.get("Digest") or self.digest
        if record.get("error") or record.get("errorDetail"):
            detail = record.get("errorDetail") or {}
            self.error = str(detail.get("message") or record.get("error")).strip()
            return self.rest()
        if "stream" in record:
            return self._stream(str(record["stream"]))
        return self._status(record)

    def rest(self) -> list[str]:
        """The last line, where it has no end."""
        line, self._open = self._open, ""
        return self._kept([line]) if line.strip() else []

    def failure(self, what: str) -> str:
        """*what* failed: the step, the engine's words, and the last lines. Build arguments are masked."""
        step = f" at {self.step}" if self.step else ""
        tail = "\n".join(self._tail)
        return self.masked(f"{what} failed{step}: {self.error}" + (f"\n{tail}" if tail else ""))

    def masked(self, text: str) -> str:
        """*text* without any of the values that must not be shown."""
        for value in self._hidden:
            text = text.replace(value, "***")
        return text

    def _stream(self, text: str) -> list[str]:
        *whole, self._open = (self._open + text).split("\n")
        return self._kept(whole)

    def _status(self, record: Mapping[str, Any]) -> list[str]:
        status, layer = str(record.get("status") or ""), str(record.get("id") or "")
        if not status or status in _NOISE or record.get("progress") or (layer, status) in self._said:
            return []
        self._said.add((layer, status))
        return self._kept([f"{layer}: {status}" if layer else status])

    def _kept(self, lines: Sequence[str]) -> list[str]:
        clean = [_ANSI.sub("", line.rstrip("\r").rpartition("\r")[2]).rstrip() for line in lines]
        clean = [line for line in clean if line]
        for line in clean:
            if _STEP.match(line):
                self.step = line
            elif built := _BUILT.match(line):
                self.image_id = self.image_id or built.group(1)
        self._tail.extend(clean)
        return clean
