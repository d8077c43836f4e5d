"""Applications and the registry that holds them: how a release behaves once it is pulled and started.

Knows no node and no task.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from nodewise.domain.errors import NotFound, RetryLater, UserError
from nodewise.domain.images import ImageName
from nodewise.domain.swarm import ResolvedImage

PLATFORMS = ({"Architecture": "amd64", "OS": "linux"},)


@dataclass(frozen=True, slots=True)
class App:
    """How one release behaves. Times are in seconds.

    ``pull``: the first time on a node. ``start``: from the process's start until it listens, and until its
    health check holds where it has one. ``stop``: from the stop signal to its end; the grace period caps it.
    ``exits_after`` and ``unhealthy_after`` count from the process's start and from running; None is never, and
    ``unhealthy_after`` 0 never gets healthy. Without ``exits_after`` a task of a job ends well at once.
    ``error`` is the cause that stands behind the exit code. ``log`` is printed at the start, ``last_words``
    when it exits by itself. ``http``: the status that it answers for a path, so many seconds after it listens;
    None for no answer.
    """

    pull: float = 1.0
    start: float = 0.5
    stop: float = 0.1
    healthcheck: bool = False
    exits_after: float | None = None
    exit_code: int = 0
    error: str = ""
    unhealthy_after: float | None = None
    pullable: bool = True
    log: tuple[str, ...] = ()
    last_words: tuple[str, ...] = ()
    http: Callable[[str, float], int | None] = lambda _path, _seconds: 200


class Registry:
    """Every registry there is: what was pushed under which name. Also ``ports.Registry``.

    ``away``: none of them answers; ``gone``: the names of those that do not, while others do; ``keeps``: of those that
    let nobody remove anything.
    """

    def __init__(self) -> None:
        self.away = False
        self.gone: set[str] = set()
        self.keeps: set[str] = set()
        self._removed: set[tuple[str, str]] = set()  # (repository, digest); nodes that have it can still run it
        self._apps: dict[tuple[str, str], App] = {}  # (repository, digest)
        self._parts: dict[tuple[str, str], dict[str, str]] = {}  # (repository, digest) of indexes
        self._tags: dict[tuple[str, str], str] = {}  # (repository, tag) to digest
        self._pushed: dict[tuple[str, str], dict[str, App]] = {}  # (repository, tag) to every digest it had
        self._commands: dict[tuple[str, ...], App] = {}

    def push(self, image: str, app: App) -> str:
        """Push *app* as *image*; its digest. The same app pushed again under the same name has the same one."""
        name = ImageName.parse(image)
        key = (name.repository, name.tag or "latest")
        digest = next((d for d, pushed in self._pushed.get(key, {}).items() if pushed == app), None)
        if digest is None:
            number = len(self._pushed.setdefault(key, {}))
            digest = "sha256:" + hashlib.sha256(f"{key} {number}".encode()).hexdigest()
            self._pushed[key][digest] = app
        self._apps[name.repository, digest] = app
        self._removed.discard((name.repository, digest))
        self._tags[key] = digest
        return digest

    def tag(self, image: str, tag: str) -> None:
        """Give what *image* is another tag as well."""
        name = ImageName.parse(image)
        self._tags[name.repository, tag] = self.resolve(name).digest

    def command(self, command: tuple[str, ...], app: App) -> None:
        """How a container behaves whose command is *command*, whatever its image."""
        self._commands[command] = app

    def resolve(self, image: ImageName) -> ResolvedImage:
        """As ``ports.Engine.resolve``."""
        self._reach(image.registry)
        digest = self._digest(image)
        key = (image.repository, digest or "")
        if digest is None or key not in self._apps or key in self._removed:
            raise NotFound(f"the registry has no image {image}", "push it, or correct the name")
        return ResolvedImage(digest, tuple(map(_platform, self._parts.get(key, ()))) or PLATFORMS)

    def digest(self, image: ImageName) -> str:
        """As ``ports.Registry.digest``."""
        return self.resolve(image).digest

    def tags(self, image: ImageName) -> list[str]:
        """As ``ports.Registry.tags``: sorted by name, as registries do."""
        self._reach(image.registry)
        found = sorted(tag for repository, tag in self._tags if repository == image.repository)
        if not found:
            raise NotFound(f"the registry has no repository {image.repository}", "push an image to it")
        return found

    def remove(self, image: ImageName) -> None:
        """As ``ports.Registry.remove``."""
        self._reach(image.registry)
        if image.registry in self.keeps:
            raise UserError(f"the registry {image.registry} does not let images be removed", "switch deleting on there")
        self._removed.add((image.repository, image.digest))
        own = [key for key, digest in self._tags.items() if key[0] == image.repository and digest == image.digest]
        for key in own:
            del self._tags[key]

    def index(self, name: ImageName, parts: Mapping[str, str]) -> str:
        """As ``ports.Registry.index``. What nodes run of it is the first part; they pull it while it has them all."""
        self._reach(name.registry)
        repository = name.with_tag("")
        for digest in parts.values():
            try:
                self.resolve(repository.pinned(digest))
            except NotFound as error:
                raise RetryLater(error.what, delay=5.0) from error
        digest = "sha256:" + hashlib.sha256(f"{name.repository} {list(parts.items())}".encode()).hexdigest()
        key = (name.repository, digest)
        self._parts[key] = dict(parts)
        self._apps[key] = self._apps[name.repository, next(iter(parts.values()))]
        self._removed.discard(key)
        self._tags[name.repository, name.tag or "latest"] = digest
        return digest

    def ping(self, registry: str) -> None:
        """As ``ports.Registry.ping``, of one that does not tell the time."""
        self._reach(registry)

    def found(self, image: str) -> tuple[str, App] | None:
        """What a node would run as *image*: a key for its image store, and the app. None for no such image."""
        name = ImageName.parse(image)
        digest = self._digest(name)
        app = self._apps.get((name.repository, digest)) if digest else None
        if app is None or digest is None:
            return None
        whole = {digest, *self._parts.get((name.repository, digest), {}).values()}
        if any((name.repository, needed) in self._removed for needed in whole):
            app = replace(app, pullable=False)
        return f"{name.repository}@{digest}", app

    def behaviour(self, app: App, command: tuple[str, ...]) -> App:
        """The app that really runs, where the spec may say another command."""
        return self._commands.get(command, app) if command else app

    def _reach(self, registry: str) -> None:
        if self.away or registry in self.gone:
            raise RetryLater(
                f"the registry {registry} does not answer: dial tcp: connect: connection refused", delay=5.0
            )

    def _digest(self, image: ImageName) -> str | None:
        return image.digest or self._tags.get((image.repository, image.tag or "latest"))


def _platform(name: str) -> dict[str, str]:
    os, architecture, *_ = name.split("/")
    return {"Architecture": architecture, "OS": os}
