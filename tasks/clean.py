"""clean: remove images that no service and no rollback needs: from registries and building engines, and from nodes.

One short step after the other, each on what is known when it is taken. Nothing is ever removed by force.
"""

from __future__ import annotations

import structlog

from nodewise.bootstrap import Deps
from nodewise.domain import cleaning, retention
from nodewise.domain.access import Audit
from nodewise.domain.errors import NodewiseError
from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.retention import Pushed, Records
from tasks.clean_nodes import clean_nodes
from tasks.needed import records
from tasks.outcome import Outcome

CLEAN = Job(Verb.CLEAN, "")
AUDIT = "clean"  # the audit's word for it
WHO = "nodewise"
PAUSE = 0.1  # seconds between two removals: rollouts want the threads

log = structlog.get_logger(__name__)


def clean(deps: Deps, _subject: str = "") -> Outcome:
    """The next step. A round on the nodes that was begun is ended first."""
    begun = cleaning.clean_jobs(deps.engine.services())
    if not begun and _remove_one(deps):
        return Outcome(again_at=deps.clock.now() + PAUSE)
    return clean_nodes(deps, begun)


def _remove_one(deps: Deps) -> bool:
    """Remove the image of one build, if any can be. A registry or engine that refuses waits for the next hour."""
    silent: set[str] = set()
    while True:
        known = records(deps)
        image = next((p for p in retention.to_go(known) if not {p.pinned.registry, p.builder} & silent), None)
        if image is None:
            return False
        try:
            whom = image.pinned.registry
            parts = retention.parts_to_go(image, known)
            for name in (image.pinned, *parts):  # first the index: what it names is there as long as it is
                deps.registry.remove(name)
            whom = image.builder
            _off_builder(deps, image, parts, known)
        except NodewiseError as error:
            silent.add(whom)
            log.warning("not_cleaned", build=image.id, image=str(image.pinned), reason=str(error))
            continue
        now = deps.clock.now()
        deps.store.note_cleaned(image.id, now, Audit(now, WHO, AUDIT, image.name, _told(image)))
        log.info("cleaned", build=image.id, image=image.image, digest=image.digest, builder=image.builder)
        return True


def _off_builder(deps: Deps, image: Pushed, parts: list[ImageName], known: Records) -> None:
    """From the engine that built it, if that is still asked. A name that is a newer image's stays."""
    builder = deps.builders.get(image.builder)
    if builder is None:
        return
    names = [] if retention.name_is_shared(image, known) else image.names
    for name in (*(parts if image.parts else (image.pinned,)), *names):
        builder.remove(name)


def _told(image: Pushed) -> str:
    return f"{image.id}: {image.image} ({image.digest}) removed from its registry and from {image.builder}"
