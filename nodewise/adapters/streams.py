"""An engine's endless answers, in chunks that end anywhere: JSON objects one after the other, and plain bytes."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

_DECODER = json.JSONDecoder()


def records(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The objects in *chunks*, each as soon as it is whole. Ends with the chunks; half an object is dropped."""
    text, utf8 = "", codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in chunks:
        text += utf8.decode(chunk)
        while text := text.lstrip():
            try:
                record, end = _DECODER.raw_decode(text)
            except ValueError:
                break
            text = text[end:]
            if isinstance(record, dict):
                yield record


def as_file(chunks: Iterator[bytes]) -> io.BufferedReader:
    """The same bytes to be read as those of a file; whatever *chunks* raises comes through."""
    return io.BufferedReader(_Chunks(chunks))


class _Chunks(io.RawIOBase):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._left:
            self._left = memoryview(next(self._chunks, b""))
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size
