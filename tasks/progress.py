"""How far a build is: its log in the store, and what ends it before its time: limits, and a newer commit."""

from __future__ import annotations

from nodewise.bootstrap import Deps
from nodewise.domain.build import Build, BuildState
from nodewise.domain.errors import GiveUp, NodewiseError
from nodewise.domain.recipe import Supersede

FLUSH_EVERY = 0.5  # seconds
FLUSH_AT = 16_384  # characters
LOOK_EVERY = 1.0  # seconds between two looks for a newer commit


class Ended(NodewiseError):
    """There is nothing (more) to build, for a reason that is no failure. ``state``: how the build ends."""

    def __init__(self, state: BuildState, what: str) -> None:
        super().__init__(what)
        self.state = state


class BuildProgress:
    """``nodewise.ports.Progress`` of one attempt at a build. ``flush`` it at the end."""

    def __init__(self, deps: Deps, build: Build) -> None:
        self._deps = deps
        self._build = build
        self._limits = build.recipe.limits
        self._until = deps.clock.now() + self._limits.seconds
        self._coming: list[str] = []
        self._held = 0  # characters in it
        self._printed = 0
        self._flushed_at = float("-inf")  # the first line is seen at once
        self._looked_at = deps.clock.now()

    def line(self, text: str) -> None:
        """Into the log, with those that follow soon. GiveUp where the log grows beyond its limit."""
        self._coming.append(f"{text}\n")
        self._held += len(text) + 1
        self._printed += len(text) + 1
        if self._printed > self._limits.log:
            self._coming[-1] = "[cut here]\n"
            raise GiveUp(f"the build printed more than {self._limits.log} characters", "print less, or raise max_log")
        if self._held > FLUSH_AT:
            self.flush()
        self.check()

    def check(self) -> None:
        """GiveUp when the time is over; Ended where a newer commit has come and this one is to give way."""
        now = self._deps.clock.now()
        if now > self._until:
            raise GiveUp(f"the build was not done after {self._limits.seconds:g} s", "see its log, or raise timeout")
        if now - self._flushed_at >= FLUSH_EVERY:
            self.flush()
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            give_way(self._deps, self._build, running=True)

    def flush(self) -> None:
        """Write what has gathered."""
        text, self._coming, self._held = "".join(self._coming), [], 0
        self._flushed_at = self._deps.clock.now()
        if text:
            self._deps.store.append_build_log(self._build.id, text)


def give_way(deps: Deps, build: Build, running: bool) -> None:
    """Raises Ended where a newer commit of the same branch replaces *build*, which is *running* or waits."""
    ends = (Supersede.RUNNING,) if running else (Supersede.RUNNING, Supersede.WAITING)
    if not build.of_branch or build.recipe.supersede not in ends:
        return
    newer = deps.store.newer_build(build)
    if newer is not None:
        raise Ended(BuildState.REPLACED, f"replaced by {newer.id} of the newer commit {newer.commit[:12]}")
