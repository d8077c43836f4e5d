"""A container's outputs as an engine sends them: frames, each with the number of its output and its length. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_HEADER = struct.Struct(">BxxxL")  # moby, pkg/stdcopy: 1 is stdout, 2 stderr, 3 the engine's own errors


class Frames:
    """Feed it every chunk in turn."""

    def __init__(self) -> None:
        self._open = b""

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """The frames that *chunk* completes: number of the output, content."""
        self._open += chunk
        while len(self._open) >= _HEADER.size:
            output, length = _HEADER.unpack_from(self._open)
            end = _HEADER.size + length
            if len(self._open) < end:
                return
            content, self._open = self._open[_HEADER.size : end], self._open[end:]
            yield output, content
