"""An engine's endless answers: JSON objects one after the other, in chunks that end anywhere."""

from __future__ import annotations

import codecs
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
