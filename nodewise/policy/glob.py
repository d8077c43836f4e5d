"""glob: any tag that matches a shell pattern (``*``, ``?``, ``[...]``); the last push wins."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

from nodewise.domain.errors import UserError


@dataclass(frozen=True, slots=True)
class Glob:
    """Tags by pattern; case matters, as in tags."""

    pattern: str

    @property
    def ordered(self) -> bool:
        return False

    def admits(self, tag: str) -> bool:
        return fnmatch.fnmatchcase(tag, self.pattern)

    def newer(self, candidate: str, current: str) -> bool:
        return self.admits(candidate)

    def __str__(self) -> str:
        return f"glob:{self.pattern}"


def parse(text: str) -> Glob:
    """Raises UserError for an empty pattern."""
    if not text:
        raise UserError("glob needs a pattern", "such as glob:release-*", "nodewise.track")
    return Glob(text)
