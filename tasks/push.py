"""push: bring a built image into the registry, and let its digest go the way of every pushed image."""

from __future__ import annotations

from dataclasses import replace

from nodewise.bootstrap import Deps
from nodewise.domain.build import BuildState
from nodewise.domain.events import ImagePushed
from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job, Verb
from tasks.build import there
from tasks.outcome import DONE, Outcome
from tasks.progress import BuildProgress


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
        digest = deps.builders[found.builder].push(image, progress)
    finally:
        progress.flush()
    event = ImagePushed(image.repository, image.tag, digest)
    # The event comes first: after a crash in between, a second event of the same digest is collapsed.
    _, jobs = deps.store.add_event(event, f"build {build_id} of {found.commit[:12]}", deps.clock.now())
    done = replace(found, state=BuildState.PUSHED, digest=digest, ended_at=deps.clock.now())
    deps.store.save_build(done, deps.clock.now())
    return Outcome(jobs)
