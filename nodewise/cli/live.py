"""A rollout live on a terminal. The picture is drawn anew four times a second, so that its times go on."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from nodewise.cli.view import picture
from nodewise.client import Json


class _Screen:
    """What is known now; drawn by another thread."""

    def __init__(self, ascii_only: bool) -> None:
        self.state: Json | None = None
        self._ascii_only = ascii_only

    def draw(self) -> RenderableType:
        return picture(self.state, time.time(), self._ascii_only) if self.state is not None else Text()


def show(out: Console, states: Iterable[Json | None]) -> Json:
    """Draw until the end, and leave the last picture standing. Returns the last state."""
    screen = _Screen(out.options.ascii_only)
    with Live(console=out, get_renderable=screen.draw, refresh_per_second=4, vertical_overflow="visible"):
        for state in states:
            screen.state = state or screen.state
    assert screen.state is not None
    return screen.state
