"""A builder in memory: ``nodewise.ports.Builder``. What it pushes is in the simulated registry afterwards.

Runs no Dockerfile. How the release behaves that a checkout stands for is read from its files by a function that
the user gives; that function raises GiveUp for sources that cannot be built.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.images import ImageName
from nodewise.testing.app import App, Registry


class SimulatedBuilder:
    """One engine that builds. *app_of* makes the App of a build's context.

    A build takes *seconds*, which *spend* lets go by: a clock's ``advance`` where time is to pass meanwhile.
    """

    def __init__(
        self,
        registry: Registry,
        app_of: Callable[[Path], App],
        seconds: float = 2.0,
        spend: Callable[[float], object] = lambda _: None,
    ) -> None:
        self._registry = registry
        self._app_of = app_of
        self._seconds = seconds
        self._spend = spend
        self._images: dict[str, App] = {}  # by id
        self._tags: dict[str, str] = {}  # to ids

    def build(
        self,
        context: Path,
        dockerfile: str,
        tag: ImageName,
        args: Mapping[str, str],
        labels: Mapping[str, str],
        log: Callable[[str], None],
    ) -> str:
        """As ``ports.Builder.build``; *args* and *labels* change nothing. Raises GiveUp without a Dockerfile."""
        if not (context / dockerfile).is_file():
            raise GiveUp(f"the build of {tag} failed: there is no file {dockerfile} in its context")
        self._spend(self._seconds)
        app = self._app_of(context)
        image_id = "sha256:" + hashlib.sha256(f"{tag} {len(self._images)}".encode()).hexdigest()
        self._images[image_id], self._tags[str(tag)] = app, image_id
        log(f"Successfully built {image_id[7:19]}\n")
        return image_id

    def push(self, tag: ImageName, log: Callable[[str], None]) -> str:
        """As ``ports.Builder.push``."""
        if str(tag) not in self._tags:
            raise GiveUp(f"the builder has no image {tag}", "build it first")
        if self._registry.away:
            raise RetryLater(f"the registry {tag.registry} does not take the push: connection refused", delay=5.0)
        digest = self._registry.push(str(tag), self._images[self._tags[str(tag)]])
        log(f"{tag.tag}: digest: {digest}\n")
        return digest

    def has_image(self, image_id: str) -> bool:
        """Whether the built image is still on the builder."""
        return image_id in self._images
