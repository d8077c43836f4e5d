"""Whether other clocks agree with this machine's. A signed time that is too far off makes a good delivery a bad one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nodewise.answers.checks import Check, ago
from nodewise.config.hooks import TIMED
from nodewise.config.settings import Settings

AGREE = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Told:
    """What *who* said the time was, between two looks at our own clock. ``precision``: what its words leave open."""

    who: str
    at: float
    before: float
    after: float
    precision: float = 0.0

    @property
    def ahead(self) -> float:
        """Seconds by which the other clock is ahead of ours, at least; negative when behind. A slow answer is no
        difference.
        """
        least, most = self.at - self.after, self.at + self.precision - self.before
        return max(0.0, least) + min(0.0, most)


def check_clock(settings: Settings, told: Told) -> Iterator[Check]:
    """Nothing where the two agree."""
    if abs(told.ahead) <= AGREE:
        return
    way = "behind" if told.ahead > 0 else "ahead of"
    detail = f"this machine's clock is {ago(abs(told.ahead))} {way} that of {told.who}"
    hint = "have both synchronised (timedatectl set-ntp true, or chrony), first the one that is wrong"
    yield Check("clock", False, detail, f"{hint}; {_breaks(settings, abs(told.ahead))}")


def _breaks(settings: Settings, off: float) -> str:
    """Which hooks are hurt by it."""
    window = settings.replay_window
    hooks = sorted(name for name, hook in settings.hooks.items() if hook.provider in TIMED)
    if not hooks:
        return f"hooks with a signed time would be refused from {window:g} s on; none is configured"
    named = ", ".join(hooks)
    if off > window:
        return f"signed times more than {window:g} s off are refused: nothing of a right clock gets in by {named}"
    return f"from {window:g} s on, what is signed with a time is refused: {named}"
