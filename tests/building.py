"""What tests of builders share: orders, somebody who listens, and a look at what runs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nodewise.domain.images import ImageName
from nodewise.domain.recipe import ImageOrder


class Ended(Exception):
    """What a build is told to end with. None of the product's own errors."""


class Listener:
    """A Progress that keeps the lines, and ends the work with *error* as soon as *end* says so."""

    def __init__(
        self, end: Callable[[], bool] = lambda: False, most: int = 10**9, error: Exception | None = None
    ) -> None:
        self.lines: list[str] = []
        self.end = end
        self.error = error or Ended()
        self._most = most

    def line(self, text: str) -> None:
        self.lines.append(text)
        if len(self.lines) > self._most or self.end():
            raise self.error

    def check(self) -> None:
        if self.end():
            raise self.error

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def commands() -> list[str]:
    """The arguments of every process of this machine, containers included: the lab's engines are on it."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
        except OSError:
            continue
    return found


def sleeps(seconds: int) -> bool:
    """Whether somebody sleeps for exactly so long."""
    return f"sleep {seconds}" in commands()


def order_of(context: Path, name: ImageName | str = "registry:5000/app:v1", **fields: object) -> ImageOrder:
    return replace(ImageOrder("build-1", context, "Dockerfile", str(name)), **fields)
