"""From an event to what it starts: which services follow a pushed image, which builds a pushed commit.

The event is a hint. Nothing is asked from the registry here: the plan of each rollout does.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, replace

from nodewise.bootstrap import Deps
from nodewise.config.builds import BuildConfig
from nodewise.config.labels import ServiceLabels, read_labels
from nodewise.domain import catching_up, platforms
from nodewise.domain.build import Build, BuildState
from nodewise.domain.delivery import StoredEvent
from nodewise.domain.errors import NodewiseError, UserError
from nodewise.domain.events import AlertFired, CodePushed, ImagePushed
from nodewise.domain.ids import new_id
from nodewise.domain.images import ImageName
from nodewise.domain.locks import against
from nodewise.domain.rollout import COMING, Cause, Kind, Phase, Rollout, move
from nodewise.domain.swarm import ServiceView
from nodewise.domain.urls import same_repository
from nodewise.strategies import cells


@dataclass(frozen=True, slots=True)
class Match:
    """What an event meant for one service or build: something to start, or the reason why not."""

    name: str
    verdict: str
    rollouts: tuple[Rollout, ...] = ()
    build: Build | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.verdict}"


ALERTED = (Phase.MOVING, Phase.FINISHING, Phase.WATCHING)  # what an alert may be about
_WITHOUT_IMAGE = (BuildState.FAILED, BuildState.SKIPPED, BuildState.REPLACED)
TOLD = 20  # matches told one by one; of the rest, only how many there are


def told(matches: list[Match]) -> str:
    """What came of an event, as people read it: what it started first, then what was left alone and why."""
    first = sorted(matches, key=lambda m: not m.rollouts and m.build is None)
    rest = len(first) - TOLD
    return "; ".join([*map(str, first[:TOLD]), *([f"and {rest} more"] if rest > 0 else [])])


def route_image(deps: Deps, stored: StoredEvent, event: ImagePushed) -> list[Match]:
    """Every service that runs this repository and says that it wants to follow it. A part of an index is for none."""
    whole = _part_of(deps, event)
    if whole is not None:
        return [Match(whole.name, f"left alone: tag {event.tag} is a part of {whole.image}, for one platform")]
    matches: list[Match] = []
    apps: dict[str, list[tuple[Rollout, str]]] = {}
    for service in of_the_user(deps):
        try:
            running = ImageName.parse(service.image)
        except UserError:
            continue
        if running.repository != event.repository:
            continue
        labels = read_labels(service.labels, deps.settings.label_defaults)
        match = _match_service(deps, stored, event, service, running, labels)
        if match.rollouts and labels.strategy == "cells":
            apps.setdefault(labels.app, []).append((match.rollouts[0], labels.stage))
        else:
            matches.append(match)
    now = deps.clock.now()
    return [*matches, *(_match_app(deps, app, members, now) for app, members in apps.items())]


def _part_of(deps: Deps, event: ImagePushed) -> Build | None:
    """The build for several platforms that pushed this tag for one of them; registries tell of that as of any push."""
    several = {p for config in deps.settings.builds.values() if len(config.platforms) > 1 for p in config.platforms}
    for tag in platforms.wholes(event.tag, sorted(several)):
        build = deps.store.build_named(_named(event.repository, tag))
        if build is not None and build.several and event.tag in {name.tag for name in build.images.values()}:
            return build
    return None


def _named(repository: str, tag: str) -> str:
    """An image's name as builds have it; what is no name, which no build has, as it came."""
    try:
        return str(ImageName.parse(repository).with_tag(tag))
    except UserError:
        return f"{repository}:{tag}"


def _match_app(deps: Deps, app: str, members: list[tuple[Rollout, str]], now: float) -> Match:
    placed = as_app(deps, members, now)
    return Match(f"app {app}", ", ".join(f"rollout {r.id} of {r.service}" for r in placed), placed)


def as_app(deps: Deps, members: list[tuple[Rollout, str]], now: float) -> tuple[Rollout, ...]:
    """Pending rollouts, each with its service's stage label, as one rollout of their app: each waits for its turn."""
    app_rollout = new_id("g", now, deps.chance)
    places = cells.in_order([(r.service, stage) for r, stage in members])
    placed = [replace(move(r, Cause.MEMBER, now), app_rollout=app_rollout, stage=places[r.service]) for r, _ in members]
    return tuple(sorted(placed, key=lambda r: (r.stage, r.id)))


def app_members(deps: Deps, app: str, image: ImageName, first: Rollout, now: float) -> tuple[Rollout, ...]:
    """The rollout *first* of one service of an app, with those of the others that run the same repository."""
    found: list[tuple[Rollout, str]] = []
    for service in of_the_user(deps):
        labels = read_labels(service.labels, deps.settings.label_defaults)
        if labels.app != app or labels.strategy != "cells" or not _runs(service, image):
            continue
        own = service.name == first.service
        member = first if own else replace(first, id=new_id("r", now, deps.chance), service=service.name, version=0)
        found.append((member, labels.stage))
    return as_app(deps, found, now)


def of_the_user(deps: Deps) -> list[ServiceView]:
    """Every service but those that rollouts have made for themselves: defaults for labels are not meant for them."""
    return [s for s in deps.engine.services() if not s.helper]


def _runs(service: ServiceView, image: ImageName) -> bool:
    try:
        return ImageName.parse(service.image).repository == image.repository
    except UserError:
        return False


def _match_service(
    deps: Deps,
    stored: StoredEvent,
    event: ImagePushed,
    service: ServiceView,
    running: ImageName,
    labels: ServiceLabels,
) -> Match:
    if labels.problems:
        return Match(service.name, f"left alone, misconfigured: {labels.problems[0]}")
    if labels.track is None:
        return Match(service.name, "left alone: it has no nodewise.track")
    if not labels.track.admits(event.tag):
        return Match(service.name, f"left alone: tag {event.tag} does not match {labels.track}")
    coming = on_its_way(deps, service.name)
    image = running.with_tag(event.tag)
    wanted = str(image.pinned(event.digest) if event.digest else image)
    same = next((r for r in coming if _same(r.image, wanted, event.digest)), None)
    if same is not None:
        return Match(service.name, f"left alone: the same image is on its way in {same.id}")
    if event.digest and event.digest == running.digest and not coming:
        return Match(service.name, f"left alone: it runs this image already, as {running}")
    present = ImageName.parse(coming[0].image) if coming else running
    if not labels.track.newer(event.tag, present.tag):
        return Match(service.name, f"left alone: tag {event.tag} does not replace {present.tag}")
    if event.missed and (reason := not_missed(deps, service.name, running, present, event)):
        return Match(service.name, f"left alone: {reason}")
    rollout = _started(deps, stored, service.name, Kind.DEPLOY, stored.origin, wanted)
    return Match(service.name, f"rollout {rollout.id}", (rollout,))


def _started(deps: Deps, stored: StoredEvent, service: str, kind: Kind, origin: str, image: str = "") -> Rollout:
    """What an event starts for one service."""
    now = deps.clock.now()
    return Rollout(
        id=new_id("r", now, deps.chance),
        service=service,
        kind=kind,
        phase=Phase.PENDING,
        origin=origin,
        created_at=now,
        image=image,
        event_id=stored.id,
    )


def not_missed(deps: Deps, service: str, running: ImageName, present: ImageName, event: ImagePushed) -> str:
    """Why what a look at the registry has found is not for *service*; empty where it is.

    What has failed or was taken back is not tried for ever: once is what a webhook would have brought about. And what
    someone went away from by hand does not come back by itself.
    """
    reason = catching_up.not_missed(running, present, event.tag, event.digest)
    lock = None if reason else against(deps.store.locks(service), event.digest)
    if reason or lock:
        return reason or str(lock)
    return "it has had this image before" if deps.store.has_had(service, event.digest) else ""


def _same(image: str, wanted: str, digest: str) -> bool:
    """Whether both are one image: a push may be told of under several tags."""
    return image == wanted or bool(digest and ImageName.parse(image).digest == digest)


def on_its_way(deps: Deps, service: str) -> list[Rollout]:
    """Deploys that the service is about to run, newest first: an older push must not replace a newer one in flight."""
    return [
        rollout
        for rollout in deps.store.rollouts(service, active=True)
        if rollout.kind is Kind.DEPLOY and rollout.phase in (*COMING, Phase.FINISHING, Phase.WATCHING)
    ]


def route_alert(deps: Deps, stored: StoredEvent, event: AlertFired) -> Match:
    """A rollback of the service that the alert names, unless there is a reason to leave it alone."""
    reason = _not_alerted(deps, event)
    if reason:
        return Match(event.service, f"left alone: {reason}")
    origin = f"{stored.origin}: {event.summary or event.fingerprint}"
    rollback = _started(deps, stored, event.service, Kind.ROLLBACK, origin)
    return Match(event.service, f"rollback {rollback.id}", (rollback,))


def _not_alerted(deps: Deps, event: AlertFired) -> str:
    """Why an alert is not about what a rollout has brought; empty where it may be."""
    if deps.engine.service(event.service) is None:
        return "the swarm has no such service"
    rollouts = deps.store.rollouts(event.service, outline=True)
    last = next((r for r in rollouts if r.started_at is not None), None)
    if last is not None and last.kind is Kind.ROLLBACK and not last.phase.terminal:
        return f"it is being taken back in {last.id}"
    going = last is not None and not last.phase.terminal
    if last is not None and event.at is not None and event.at <= (last.written_at or last.started_at or 0.0):
        return f"it began to fire before {last.id} moved anything"
    if last is not None and going and last.phase not in ALERTED:
        return f"{last.id} is {last.phase.value.replace('_', ' ')}"
    return "" if going or event.always else "no rollout of it is on its way or watched"


def route_code(deps: Deps, stored: StoredEvent, event: CodePushed) -> list[Match]:
    """Every build of this repository whose filter lets the ref through."""
    return [
        _match_build(deps, stored, event, name, config)
        for name, config in deps.settings.builds.items()
        if same_repository(config.git, event.repository)
    ]


def _has_image(build: Build) -> bool:
    """Whether it has made an image, or is about to, that was not removed since."""
    return build.state not in _WITHOUT_IMAGE and build.cleaned_at is None


def _match_build(deps: Deps, stored: StoredEvent, event: CodePushed, name: str, config: BuildConfig) -> Match:
    if not any(fnmatch.fnmatchcase(event.ref, pattern) for pattern in config.refs):
        return Match(name, f"not built: {event.ref} does not match {', '.join(config.refs)}")
    try:
        image = config.image_for(event.ref, event.commit)
    except NodewiseError as error:
        return Match(name, f"not built: {error}")
    latest = deps.store.latest_build(name, event.ref)
    if latest is not None and latest.commit == event.commit and _has_image(latest):
        return Match(name, f"built already: {latest.id}")
    now = deps.clock.now()
    build = Build(
        id=new_id("b", stored.created_at, deps.chance),  # in the order of the pushes, whichever is planned first
        name=name,
        repository=config.git,
        ref=event.ref,
        commit=event.commit,
        image=image,
        state=BuildState.WAITING,
        created_at=now,
        event_id=stored.id,
        recipe=config.recipe(),
    )
    return Match(name, f"build {build.id}", build=build)
