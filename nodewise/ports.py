"""What the inside needs from the outside, as Protocols. Adapters and the simulated swarm implement them.

All of them raise the errors of ``nodewise.domain.errors`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job
from nodewise.domain.recipe import Commit, ImageOrder, Source, SourceOrder
from nodewise.domain.steps import GatePlan, Place, Reading
from nodewise.domain.swarm import NodeView, ResolvedImage, ServiceView, Spec, TaskView
from nodewise.domain.told import Told


class Engine(Protocol):
    """The swarm, through any of its managers."""

    def services(self, label: str = "") -> list[ServiceView]:
        """Every service, or every one with that label. Raises RetryLater when no manager answers."""

    def service(self, name_or_id: str) -> ServiceView | None:
        """One service, or None when there is none of that exact name or id."""

    def update_service(self, service_id: str, version: int, spec: Spec, image: ImageName | None = None) -> None:
        """Replace the whole spec, if the service still is at *version*.

        With *image*, fresh credentials for its registry go along; without any configured, those stored
        with the service stay. Raises OutOfSequence, RetryLater, or GiveUp with the engine's own words.
        """

    def create_service(self, spec: Spec, image: ImageName | None = None) -> str:
        """Create a service and return its id. Raises Conflict where the name is taken, RetryLater, GiveUp."""

    def remove_service(self, service_id: str) -> None:
        """Remove a service and its tasks. One that is gone already is no error."""

    def tasks(self, service_ids: Sequence[str]) -> list[TaskView]:
        """All tasks of these services, history included, in one call each for tasks and for up-to-dateness."""

    def live_tasks(self, service_ids: Sequence[str]) -> list[TaskView]:
        """Only the tasks that the swarm wants to run, those of jobs included, in one call: for a poll.

        ``up_to_date`` is not asked for.
        """

    def nodes(self) -> list[NodeView]:
        """Every node of the swarm."""

    def task_logs(self, task_id: str, lines: int) -> str:
        """The last *lines* lines that a task's container printed; empty when they cannot be had."""

    def resolve(self, image: ImageName) -> ResolvedImage:
        """Ask the registry, through an engine, what *image* (tag or digest) is.

        Raises NotFound (a UserError) when the registry has no such image, RetryLater when it does not answer.
        """

    def events(self) -> Iterator[Mapping[str, object]]:
        """Swarm-scoped events as they come; ends when the connection does. A hint, never the truth."""


class Registry(Protocol):
    """Registries, asked from Nodewise's own machine. What is rolled out is what the engine says (``resolve``)."""

    def tags(self, image: ImageName) -> Sequence[str]:
        """Every tag of the image's repository.

        Raises NotFound where there is no such repository, UserError where access is refused, RetryLater.
        """

    def digest(self, image: ImageName) -> str:
        """What the image's tag stands for. Raises as ``tags`` does."""

    def remove(self, image: ImageName) -> None:
        """Remove what the image's digest stands for, with every tag of it. One that is gone already is no error.

        Raises UserError where access is refused, or where the registry lets nobody remove anything; RetryLater.
        """

    def index(self, name: ImageName, parts: Mapping[str, str]) -> str:
        """Put an index of images that are in *name*'s repository under its tag. *parts*: platform to digest.

        Returns the index's digest: of the same parts in the same order always the same. Raises UserError where access
        is refused, or where the registry does not take it; RetryLater, also where a part is not there (yet).
        """

    def ping(self, registry: str) -> float | None:
        """Its own time (seconds since the epoch, to the second), or None where it does not tell.

        Raises UserError where it refuses the login that there is or is no registry, RetryLater.
        """


class Manager(Protocol):
    """One manager of the swarm by itself."""

    def info(self) -> Mapping[str, Any]:
        """What it says of itself, as it came: version, time. Raises RetryLater unless it answers and is a manager."""


class ReadGate(Protocol):
    """Asks a gate once, at one place."""

    def __call__(self, plan: GatePlan, place: Place, /) -> Reading:
        """What it says. Never raises for what it finds: no answer is a reading too."""


class Progress(Protocol):
    """Where work that takes long says how far it is, and learns that it is to end."""

    def line(self, text: str, /) -> None:
        """One line of what is printed, without its end. Raises what the work is to end with, as ``check`` does."""

    def check(self) -> None:
        """Asked at least once a second while something is under way. Raises what the work is to end with: at once,
        leaving nothing running, that very error goes on to the caller.
        """


class Builder(Protocol):
    """An engine that builds and pushes images. Everything that it makes for a build carries the build's id."""

    def build(self, order: ImageOrder, progress: Progress) -> str:
        """Build an image and name it. Returns its id. Raises GiveUp with the failing step, RetryLater."""

    def run(self, order: SourceOrder, progress: Progress) -> None:
        """Run a source build; what it made is in the checkout afterwards. Raises GiveUp with its exit code, RetryLater.

        Its container and everything of it but its caches are gone afterwards, however it ended.
        """

    def push(self, name: ImageName, progress: Progress) -> str:
        """Push *name*. Returns the digest that the registry recorded. Raises RetryLater or GiveUp."""

    def has_image(self, image_id: str) -> bool:
        """Whether the built image is still on the builder."""

    def tag(self, image_id: str, name: ImageName) -> None:
        """Give an image that is there another name. Raises RetryLater or GiveUp."""

    def remove(self, name: ImageName) -> None:
        """Take *name*, by tag or digest, off the image that has it; one without a name is removed. One that is gone
        already, or is in use, is no error. Raises RetryLater.
        """

    def space(self) -> int | None:
        """Bytes that are free where the engine keeps its images; None where that cannot be seen from here."""

    def clear(self, build: str) -> None:
        """Remove what a build whose worker was killed left there: containers and volumes, not its image, not caches."""

    def ping(self) -> None:
        """Raises RetryLater unless it answers."""


class Git(Protocol):
    """Repositories. Every argument that came from outside is data, never an option."""

    def look(self, source: Source, since: str = "") -> Commit:
        """Bring the commit into this machine's copy of its repository, and read it. *since*: an older commit.

        Raises GiveUp or RetryLater, with git's own words.
        """

    def checkout(self, source: Source, into: Path) -> None:
        """Exactly the commit that was looked at, in the empty folder *into*. Raises GiveUp or RetryLater."""


class Queue(Protocol):
    """The queue: a hint that there is work. The outbox in the store is the truth."""

    def publish(self, job: Job, delay: float = 0.0) -> None:
        """Ask for *job* to be run in *delay* seconds. Raises RetryLater when the queue is out of reach."""


class Channel(Protocol):
    """Somebody who is told what becomes of rollouts and builds: people, or the place that a commit came from."""

    @property
    def name(self) -> str:
        """Its place in the configuration: what was told is kept by it, and errors name it."""

    def wants(self, told: Told) -> bool:
        """Whether this is told here at all."""

    def tell(self, told: Told, kept: str) -> str:
        """Tell it. Raises RetryLater, or GiveUp where trying again would not help.

        What it returns, if anything, is to be kept and to be told with once more; *kept* is what was kept of this
        subject before.
        """


class Clock(Protocol):
    """Time. Seconds since the epoch."""

    def now(self) -> float:
        """The time now."""
