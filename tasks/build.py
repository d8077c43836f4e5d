"""build: check out exactly the pushed commit and build its image, on an engine."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from nodewise.bootstrap import Deps
from nodewise.domain.build import Build, BuildState
from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job, Verb
from tasks.outcome import DONE, Outcome

WAIT = 1.0  # seconds until a build asks for a slot again: it holds no thread meanwhile, a rollback may want it


def build(deps: Deps, build_id: str) -> Outcome:
    """Build, unless that is done: a repeated job goes on with the push."""
    found = deps.store.build(build_id)
    if found is None or found.state.terminal:
        return DONE
    if found.state is BuildState.BUILT and deps.builder.has_image(found.image_id):
        return Outcome((Job(Verb.PUSH, build_id),))
    if not deps.build_slots.acquire(blocking=False):
        return Outcome(again_at=deps.clock.now() + WAIT, tried=False)
    try:
        return _in_a_slot(deps, found)
    finally:
        deps.build_slots.release()


def _in_a_slot(deps: Deps, found: Build) -> Outcome:
    now = deps.clock.now()
    begun = deps.store.save_build(replace(found, state=BuildState.BUILDING, started_at=now), now)
    image_id = _build(deps, begun)
    jobs = (Job(Verb.PUSH, found.id),)
    deps.store.save_build(replace(begun, state=BuildState.BUILT, image_id=image_id), deps.clock.now(), jobs=jobs)
    return Outcome(jobs)


def _build(deps: Deps, build: Build) -> str:
    def log(text: str) -> None:
        deps.store.append_build_log(build.id, text)

    with tempfile.TemporaryDirectory(prefix="nodewise-build-", ignore_cleanup_errors=True) as folder:
        checkout = Path(folder) / "source"
        checkout.mkdir()
        log(f"checkout {build.commit} of {build.ref}\n")
        deps.git.checkout(build.repository, build.ref, build.commit, checkout)
        labels = {"org.opencontainers.image.revision": build.commit}
        return deps.builder.build(
            checkout / build.context,
            build.dockerfile,
            ImageName.parse(build.image),
            build.args,
            labels,
            log,
        )
