"""A channel that writes down what it is told: ``nodewise.ports.Channel``. Tells nobody."""

from __future__ import annotations

from collections.abc import Collection

from nodewise.domain.errors import RetryLater
from nodewise.domain.told import State, Told


class RecordingChannel:
    """``heard``: everything that was told, in order. ``away``: it does not answer; ``asked``: how often it was tried.

    *on*: the states that it wants to be told of. *makes*: what the other side makes at first, to be kept.
    """

    def __init__(self, name: str = "recorded", on: Collection[State] = tuple(State), makes: str = "") -> None:
        self.heard: list[Told] = []
        self.kept: list[str] = []
        self.asked = 0
        self.away = False
        self.delay = 1.0
        self._name = name
        self._on = on
        self._makes = makes

    @property
    def name(self) -> str:
        return self._name

    def wants(self, told: Told) -> bool:
        """Whether its state is one of those."""
        return told.state in self._on

    def tell(self, told: Told, kept: str) -> str:
        """Write it down. Raises RetryLater while it is away."""
        self.asked += 1
        if self.away:
            raise RetryLater(f"{self._name} does not answer", delay=self.delay)
        self.kept.append(kept)
        if self._makes and not kept:
            return self._makes
        self.heard.append(told)
        return ""

    def states(self, subject: str = "") -> list[str]:
        """The states that were told, of one subject where it is given."""
        return [t.state.value for t in self.heard if not subject or t.subject == subject]
