"""A builder in memory: ``nodewise.ports.Builder``. What it pushes is in the simulated registry afterwards.

Runs no Dockerfile. How the release behaves that a checkout stands for is read from its files by a function that
the user gives; that function raises GiveUp for sources that cannot be built.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.images import ImageName
from nodewise.domain.recipe import ImageOrder, SourceOrder
from nodewise.ports import Progress
from nodewise.testing.app import App, Registry

CHECK = 0.5  # virtual seconds between two questions whether to go on


def _nothing(order: SourceOrder, progress: Progress) -> None:
    """A source build that makes nothing."""


class SimulatedBuilder:
    """One engine that builds. *app_of* makes the App of a build's context; *source* does what a source build does.

    Each of both takes *seconds*, which *spend* lets go by: a clock's ``advance`` where time is to pass meanwhile.
    *source* writes to the order's checkout and may use its Progress; it raises GiveUp as a failing command would.

    ``built``, ``ran``, ``cleared``: the orders, and the ids of builds, that it was given so far.
    """

    def __init__(
        self,
        registry: Registry,
        app_of: Callable[[Path], App],
        seconds: float = 2.0,
        spend: Callable[[float], object] = lambda _: None,
        source: Callable[[SourceOrder, Progress], None] = _nothing,
    ) -> None:
        self.built: list[ImageOrder] = []
        self.ran: list[SourceOrder] = []
        self.cleared: list[str] = []
        self.free: int | None = None  # bytes
        self._registry = registry
        self._app_of = app_of
        self._seconds = seconds
        self._spend = spend
        self._source = source
        self._images: dict[str, App] = {}  # by id
        self._names: dict[str, str] = {}  # to ids
        self._pushed: dict[tuple[str, str], str] = {}  # id and repository to the digest there

    def build(self, order: ImageOrder, progress: Progress) -> str:
        """As ``ports.Builder.build``; arguments and labels change nothing. Raises GiveUp without a Dockerfile."""
        self.built.append(order)
        if not (order.context / order.dockerfile).is_file():
            raise GiveUp(f"the Dockerfile {order.dockerfile!r} is not in the repository")
        self._take_time(progress)
        app = self._app_of(order.context)
        name = str(ImageName.parse(order.name))
        image_id = "sha256:" + hashlib.sha256(f"{name} {len(self._images)}".encode()).hexdigest()
        self._images[image_id], self._names[name] = app, image_id
        progress.line(f"Successfully built {image_id[7:19]}")
        return image_id

    def run(self, order: SourceOrder, progress: Progress) -> None:
        """As ``ports.Builder.run``: what *source* makes of the order."""
        self.ran.append(order)
        self._take_time(progress)
        self._source(order, progress)

    def push(self, name: ImageName, progress: Progress) -> str:
        """As ``ports.Builder.push``."""
        progress.check()
        if str(name) not in self._names:
            raise GiveUp(f"pushing {name} failed: An image does not exist locally with the tag: {name.repository}")
        if self._registry.away:
            raise RetryLater(f"pushing {name} failed: connection refused", delay=5.0)
        image_id = self._names[str(name)]
        digest = self._pushed.get((image_id, name.repository), "")
        if digest:
            self._registry.tag(f"{name.repository}@{digest}", name.tag)
        else:
            digest = self._registry.push(str(name), self._images[image_id])
            self._pushed[image_id, name.repository] = digest
        progress.line(f"{name.tag}: digest: {digest}")
        return digest

    def has_image(self, image_id: str) -> bool:
        """Whether the built image is still on the builder."""
        return image_id in self._images

    def tag(self, image_id: str, name: ImageName) -> None:
        """As ``ports.Builder.tag``."""
        self._names[str(name)] = image_id

    def clear(self, build: str) -> None:
        """Nothing is ever left here."""
        self.cleared.append(build)

    def remove(self, name: ImageName) -> None:
        """As ``ports.Builder.remove``."""
        image_id = self._names.pop(str(name), "")
        if image_id and image_id not in self._names.values():
            self._images.pop(image_id, None)

    def space(self) -> int | None:
        """As ``ports.Builder.space``: what ``free`` says."""
        return self.free

    def ping(self) -> None:
        """It always answers."""

    def _take_time(self, progress: Progress) -> None:
        """Raises what *progress* does, as soon as it does."""
        progress.check()
        left = self._seconds
        while left > 0:
            self._spend(min(CHECK, left))
            left -= CHECK
            progress.check()
