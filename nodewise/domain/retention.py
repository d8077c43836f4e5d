"""Retention: which images are still needed, by a service or by a rollback, and which of those built are to go. Pure.

An image is needed by its digest, under whatever name. A name without a digest may stand for any image of its
repository, so that nothing of it is ever to go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nodewise.domain import platforms
from nodewise.domain.errors import UserError
from nodewise.domain.images import ImageName
from nodewise.domain.model import Rollout
from nodewise.domain.release import ReleaseState
from nodewise.domain.swarm import ServiceView, image_of

RELEASES = 10  # of a service, before the one that runs, that a rollback may go to


@dataclass(frozen=True, slots=True)
class Shipped:
    """The image of one release on record."""

    service: str
    number: int
    image: str
    state: ReleaseState


@dataclass(frozen=True, slots=True)
class Pushed:
    """The image of one build that was pushed and not cleaned. ``builder``: the engine that made it. ``parts``: as in
    ``Build``.
    """

    id: str
    name: str
    image: str
    digest: str
    builder: str
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def pinned(self) -> ImageName:
        """The image by its digest alone."""
        return ImageName.parse(self.image).with_tag("").pinned(self.digest)

    @property
    def names(self) -> list[ImageName]:
        """What its builder calls it: for several platforms, one name for each."""
        return list(platforms.names(self.image, self.parts).values())


@dataclass(frozen=True, slots=True)
class Records:
    """What is known. ``rollouts``: those that have not ended. ``pushed``: newest first. ``keep``: how many images of
    each build are to stay; of a build that is not in it, all. ``building``: names of builds that are under way.

    Read in this order, the swarm last: what a rollout brings is then in one of them at every moment.
    """

    rollouts: Sequence[Rollout] = ()
    shipped: Sequence[Shipped] = ()
    pushed: Sequence[Pushed] = ()
    services: Sequence[ServiceView] = ()
    keep: Mapping[str, int] = field(default_factory=dict)
    building: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Needed:
    """``repositories``: those of names without a digest."""

    digests: frozenset[str]
    repositories: frozenset[str]

    def __contains__(self, image: ImageName) -> bool:
        return image.digest in self.digests or image.repository in self.repositories

    def __le__(self, other: Needed) -> bool:
        return self.digests <= other.digests and self.repositories <= other.repositories


def needed(records: Records) -> Needed:
    """Everything that must stay, in the registry and on every node."""
    digests: set[str] = set()
    repositories: set[str] = set()
    for text in _images(records):
        name, at, digest = text.partition("@")
        if at:
            digests.add(digest)
        elif repository := _repository(name):
            repositories.add(repository)
    digests.update(_kept(records))
    parts = {digest for p in records.pushed if p.digest in digests for digest in p.parts.values()}
    return Needed(frozenset(digests | parts), frozenset(repositories))


def to_go(records: Records) -> list[Pushed]:
    """The pushed images that nobody needs, oldest first. Of a build that is under way, which may come to the very same
    image once more, none.
    """
    stays = needed(records)
    counted = (p for p in reversed(records.pushed) if p.name in records.keep and p.name not in records.building)
    return [p for p in counted if p.digest and p.pinned not in stays]


def parts_to_go(image: Pushed, records: Records) -> list[ImageName]:
    """What goes with an index that goes: the images in it, but for those that another build has as well."""
    stays = needed(records)
    others = {d for p in records.pushed if p.digest != image.digest for d in (p.digest, *p.parts.values())}
    found = [image.pinned.pinned(digest) for digest in image.parts.values() if digest not in others]
    return [part for part in found if part not in stays]


def name_is_shared(image: Pushed, records: Records) -> bool:
    """Whether a build that stays, or is under way, has the same name: a tag that moves is the newest one's."""
    if image.name in records.building:
        return True
    return any(p.image == image.image and p.digest != image.digest for p in records.pushed)


def repositories(records: Records) -> frozenset[str]:
    """Whose images may be removed from nodes: those of releases and of builds on record."""
    texts = [s.image for s in records.shipped] + [p.image for p in records.pushed]
    return frozenset(found for text in texts if (found := _repository(text)))


def _kept(records: Records) -> Iterator[str]:
    """The digests of each build's newest images."""
    seen: dict[str, set[str]] = {}
    for pushed in records.pushed:
        own = seen.setdefault(pushed.name, set())
        if pushed.name not in records.keep or pushed.digest in own or len(own) < records.keep[pushed.name]:
            own.add(pushed.digest)
            yield pushed.digest


def _images(records: Records) -> Iterator[str]:
    for service in records.services:
        yield image_of(service.spec)
        yield image_of(service.previous_spec or {})
    by_service: dict[str, list[Shipped]] = {}
    for shipped in records.shipped:
        by_service.setdefault(shipped.service, []).append(shipped)
    running = {s.name: s.image for s in records.services}
    for name, releases in by_service.items():
        present = {r.number for r in releases if r.image == running.get(name)}
        present.update(n for r in records.rollouts if r.service == name for n in _numbers(r))
        yield from (s.image for s in _within_reach(releases, present))
    for rollout in records.rollouts:
        yield from _of_rollout(rollout, by_service.get(rollout.service, ()))


def _within_reach(releases: Iterable[Shipped], present: Iterable[int]) -> Iterator[Shipped]:
    """Where a rollback may go: to the newest releases, and to those before the present one, counted without and with
    those that have yet to be proven. *present*: every one that it may be, since several may have one image.
    """
    newest_first = sorted((r for r in releases if r.state is not ReleaseState.BAD), key=lambda r: -r.number)
    for reach in (newest_first, *([r for r in newest_first if r.number < number] for number in present)):
        yield from reach[:RELEASES]
        yield from [r for r in reach if r.state is ReleaseState.GOOD][:RELEASES]


def _numbers(rollout: Rollout) -> set[int]:
    return {n for n in (rollout.requested, rollout.from_number, rollout.to_number) if n is not None}


def _of_rollout(rollout: Rollout, releases: Iterable[Shipped]) -> Iterator[str]:
    """Where it comes from and goes to, and whatever its chores run."""
    yield rollout.image
    if rollout.plan is not None:
        yield image_of(rollout.plan.base)
        yield image_of(rollout.plan.target)
        yield from (chore.image for chore in rollout.plan.chores)
    numbers = _numbers(rollout)
    yield from (r.image for r in releases if r.number in numbers)


def _repository(text: str) -> str:
    """Empty for what is no image's name: nothing that is removed is called so."""
    try:
        return ImageName.parse(text).repository
    except UserError:
        return ""
