r"""regex: tags that match a whole regular expression; with groups, in the order of what they catch.

``regex:build-(\d+)`` lets build-10 replace build-9. A group of digits counts as a number, any other as text.
Without a group the last push wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nodewise.domain.errors import UserError


@dataclass(frozen=True, slots=True)
class Regex:
    """Tags by expression."""

    pattern: re.Pattern[str]

    @property
    def ordered(self) -> bool:
        return self.pattern.groups > 0

    def admits(self, tag: str) -> bool:
        return self.pattern.fullmatch(tag) is not None

    def newer(self, candidate: str, current: str) -> bool:
        new, old = self._key(candidate), self._key(current)
        return new is not None and (old is None or new >= old)

    def _key(self, tag: str) -> tuple[tuple[int, int, str], ...] | None:
        match = self.pattern.fullmatch(tag)
        if match is None:
            return None
        return tuple((1, int(g), "") if g.isdecimal() else (0, 0, g) for g in match.groups(""))

    def __str__(self) -> str:
        return f"regex:{self.pattern.pattern}"


def parse(text: str) -> Regex:
    """Raises UserError for an expression that is empty or does not compile."""
    if not text:
        raise UserError("the expression is empty", r"such as regex:v(\d+)", "nodewise.track")
    try:
        return Regex(re.compile(text))
    except re.error as error:
        raise UserError(
            f"{text!r} is no regular expression: {error}", r"such as regex:v(\d+)", "nodewise.track"
        ) from error
