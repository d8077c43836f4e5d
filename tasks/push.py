"""push: bring a built image into the registry, and let its digest go the way of every pushed image."""

from __future__ import annotations

from dataclasses import replace

from nodewise.bootstrap import Deps
from nodewise.domain.build import Build, BuildState
from nodewise.domain.events import ImagePushed
from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job, Verb
from tasks.build import end_without_image, there
from tasks.outcome import DONE, Outcome
from tasks.progress import BuildProgress, Ended


def push(deps: Deps, build_id: str) -> Outcome:
    """Push, note the digest, and raise the event. An image that is gone from the builder is built again."""
    found = deps.store.build(build_id)
    if found is None or found.state is not BuildState.BUILT:
        return DONE
    now = deps.clock.now()
    if not there(deps, found):
        jobs: tuple[Job, ...] = (Job(Verb.BUILD, build_id),)
        deps.store.save_build(replace(found, state=BuildState.WAITING, image_id=""), now, jobs=jobs)
        return Outcome(jobs)
    image = ImageName.parse(found.image)
    progress = BuildProgress(deps, found)
    try:
        pushed = _pushed(deps, found, image, progress)
    except Ended as end:
        progress.flush()
        return end_without_image(deps, found, end)
    finally:
        progress.flush()
    event = ImagePushed(image.repository, image.tag, pushed.digest)
    # The event comes first: after a crash in between, a second event of the same digest is collapsed.
    _, jobs = deps.store.add_event(event, f"build {build_id} of {found.commit[:12]}", deps.clock.now())
    done = replace(pushed, state=BuildState.PUSHED, ended_at=deps.clock.now())
    deps.store.save_build(done, deps.clock.now())
    return Outcome(jobs)


def _pushed(deps: Deps, build: Build, image: ImageName, progress: BuildProgress) -> Build:
    """The build with its digest. For several platforms each is pushed, and then the index; done again, it is the same.

    Each gets its name anew before: a newer commit of the branch may have it by now, and what is pushed is this one's.
    """
    builder = deps.builders[build.builder]
    _check_newest(deps, build)
    parts: dict[str, str] = {}
    for image_id, (platform, name) in zip(build.image_ids, build.images.items(), strict=True):
        builder.tag(image_id, name)
        parts[platform] = builder.push(name, progress)
    if not build.several:
        return replace(build, digest=next(iter(parts.values())))
    _check_newest(deps, build)
    digest = deps.registry.index(image, parts)
    progress.line(f"{image.tag}: index of {', '.join(parts)}: digest: {digest}")
    return replace(build, digest=digest, parts=parts)


def _check_newest(deps: Deps, build: Build) -> None:
    """Raises Ended where a newer build has been pushed under the same name: that must not go back."""
    newest = deps.store.build_behind(build.image, "")
    if newest is not None and newest.id > build.id:
        raise Ended(BuildState.REPLACED, f"replaced by {newest.id}, which was pushed as {build.image} before")
