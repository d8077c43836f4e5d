"""same: only the very tag that runs, when it stands for a new digest."""

from __future__ import annotations

from dataclasses import dataclass

from nodewise.domain.errors import UserError


@dataclass(frozen=True, slots=True)
class Same:
    """Follows whatever tag the service has."""

    @property
    def ordered(self) -> bool:
        return False

    def admits(self, tag: str) -> bool:
        return bool(tag)

    def newer(self, candidate: str, current: str) -> bool:
        return candidate == (current or "latest")

    def __str__(self) -> str:
        return "same"


def parse(text: str) -> Same:
    """Takes no argument. Raises UserError when given one."""
    if text:
        raise UserError(
            f"same takes no argument, and was given {text!r}", "write nodewise.track=same", "nodewise.track"
        )
    return Same()
