"""What a process prints, in pieces that end anywhere, made into whole lines as a log wants them. Pure."""

from __future__ import annotations

import codecs
import re

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
LONGEST = 16 * 1024  # characters; a longer line is cut in two, so that one without an end cannot fill the memory


class Lines:
    """The lines of one stream. ``feed`` every piece in turn, then ``rest``.

    Escape sequences are taken off. Of what overwrites itself with carriage returns, as progress bars do, the
    last is kept. Empty lines are dropped.
    """

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._open = ""

    def feed(self, piece: bytes | str) -> list[str]:
        """The lines that *piece* completes."""
        self._open += self._utf8.decode(piece) if isinstance(piece, bytes) else piece
        *whole, self._open = self._open.split("\n")
        while len(self._open) > LONGEST:
            whole.append(self._open[:LONGEST])
            self._open = self._open[LONGEST:]
        return [line for line in map(_clean, whole) if line]

    def rest(self) -> list[str]:
        """The last line, where it has no end."""
        line, self._open = _clean(self._open), ""
        return [line] if line else []


def _clean(line: str) -> str:
    shown = line.rstrip("\r").rpartition("\r")[2]
    return _CONTROL.sub("", _ANSI.sub("", shown)).rstrip()
