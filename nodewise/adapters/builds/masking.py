"""What must not be shown, taken out of every line and error of a build: values of arguments, contents of secrets.

Knows no builder. Short words are left: hiding every "yes" or "1.2" would make a log unreadable and protect nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from nodewise.domain.errors import GiveUp

SECRET_MOST = 500 * 1024  # bytes; BuildKit takes no more (moby/buildkit, session/secrets: MaxSecretSize)
_SHORT = 3  # characters, and fewer, are shown
_SHOWN = "***"


class Mask:
    """Hides each of *values*, whole and line by line, wherever it stands in a text."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        hidden = {spelt for value in values for part in _parts(value) for spelt in _spellings(part)}
        self._hidden = sorted(hidden, key=len, reverse=True)  # the longest first: one may be part of another

    def __call__(self, text: str) -> str:
        """*text* without any of them."""
        for value in self._hidden:
            text = text.replace(value, _SHOWN)
        return text


def read_secrets(files: Mapping[str, Path]) -> dict[str, bytes]:
    """The secrets' contents by name. Raises GiveUp, naming secret and file, for one that cannot be had."""
    return {name: _read(name, path) for name, path in files.items()}


def as_text(secrets: Mapping[str, bytes]) -> Iterator[str]:
    """Their contents as they would stand in a log."""
    return (content.decode("utf-8", "replace") for content in secrets.values())


def _read(name: str, path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GiveUp(f"the secret {name} cannot be read from {path}: {error.strerror}") from error
    if len(content) > SECRET_MOST:
        raise GiveUp(f"the secret {name} in {path} has {len(content)} bytes", f"at most {SECRET_MOST} can be given")
    return content


def _parts(value: str) -> Iterator[str]:
    for part in (value.strip(), *value.splitlines()):
        if len(part.strip()) > _SHORT:
            yield part.strip()


def _spellings(part: str) -> tuple[str, str]:
    """As it is, and as it stands within quotes: builders print commands and errors so."""
    return part, json.dumps(part, ensure_ascii=False)[1:-1]
