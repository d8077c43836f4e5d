"""The part of ``clean`` that is about nodes: jobs with the node's own engine at hand, made, looked at and removed."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from nodewise.bootstrap import Deps
from nodewise.domain import cleaning, retention
from nodewise.domain.access import Audit
from nodewise.domain.cleaning import CleanJob, Order
from nodewise.domain.errors import Conflict, GiveUp
from nodewise.domain.images import ImageName
from nodewise.domain.swarm import NodeView, Spec
from tasks.needed import records
from tasks.outcome import DONE, Outcome

LOOK = 2.0  # seconds between two looks at the jobs
LINES = 2000  # of what a job has printed

log = structlog.get_logger(__name__)


def clean_nodes(deps: Deps, begun: Sequence[CleanJob]) -> Outcome:
    """Go on with the round of which the jobs *begun* are, or begin one. The jobs of one that nobody wants are removed.

    Raises GiveUp where the swarm takes no such job; nothing is left behind then.
    """
    order = _order(deps)
    if order is None:
        _remove(deps, begun)
        return DONE
    tasks = deps.engine.tasks([job.service.id for job in begun])
    jobs = cleaning.clean_jobs((job.service for job in begun), tasks)
    nodes = deps.engine.nodes()
    step = cleaning.next_step(order, jobs, nodes, deps.clock.now())
    if step.over:
        _note(deps, jobs, nodes)
        _remove(deps, jobs)
        return DONE
    for spec in step.make:
        _make(deps, spec, jobs)
    return Outcome(again_at=deps.clock.now() + LOOK)


def _order(deps: Deps) -> Order | None:
    """What to remove; None where nothing is to be."""
    if not deps.settings.clean_image:
        return None
    known = records(deps)
    order = cleaning.order(
        deps.settings.clean_image,
        deps.settings.clean_socket,
        retention.repositories(known),
        retention.needed(known),
    )
    if order.too_long:
        log.warning("nodes_not_cleaned", reason="more images are needed than a job can be told", needed=len(order.keep))
    return None if order.too_long or not order.repositories else order


def _make(deps: Deps, spec: Spec, jobs: Sequence[CleanJob]) -> None:
    """One that is there already was made before a crash."""
    try:
        deps.engine.create_service(spec, ImageName.parse(deps.settings.clean_image))
    except (Conflict, GiveUp) as error:
        there = deps.engine.service(str(spec["Name"])) if isinstance(error, Conflict) else None
        if there is not None and cleaning.clean_jobs([there]):
            return
        _remove(deps, cleaning.clean_jobs(deps.engine.services()) or jobs)
        raise GiveUp(f"nodes are not cleaned: {error.what}", error.hint) from error


def _note(deps: Deps, jobs: Sequence[CleanJob], nodes: Sequence[NodeView]) -> None:
    """Say what was removed where, and where it did not come to an end."""
    names = {node.id: node.name for node in nodes}
    removed: dict[str, list[str]] = {}
    for job in jobs:
        node = names.get(job.node_id, job.node_id)
        gone = removed[node] = cleaning.removed(deps.engine.task_logs(job.ended.id, LINES)) if job.ended else []
        if job.ended is not None and job.ended.state == "complete":
            log.info("node_cleaned", node=node, removed=gone)
        else:
            reason = job.ended.error or job.ended.state if job.ended else "its job did not end"
            log.warning("node_not_cleaned", node=node, removed=gone, reason=reason)
    if detail := cleaning.told(removed):
        deps.store.add_audit(Audit(deps.clock.now(), "nodewise", "clean", "nodes", f"removed on {detail}"))


def _remove(deps: Deps, jobs: Sequence[CleanJob]) -> None:
    for job in jobs:
        deps.engine.remove_service(job.service.id)
