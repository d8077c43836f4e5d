"""Effects, carried out. One small function an effect; each may safely be carried out twice."""

from __future__ import annotations

import structlog

from nodewise.bootstrap import Deps
from nodewise.domain.effects import Effect, KeepEvidence, MakeHelper, RemoveHelper, WriteSpec
from nodewise.domain.errors import Conflict, GiveUp, OutOfSequence
from nodewise.domain.images import ImageName
from nodewise.domain.swarm import ROLLOUT_LABEL, image_of

LOG_LINES = 20

log = structlog.get_logger(__name__)


def apply(deps: Deps, effect: Effect) -> bool:
    """Carry *effect* out; whether the service was written. Raises RetryLater or GiveUp as the adapter does."""
    match effect:
        case WriteSpec():
            return _write_spec(deps, effect)
        case KeepEvidence():
            _keep_evidence(deps, effect)
        case MakeHelper():
            _make_helper(deps, effect)
        case RemoveHelper():
            deps.engine.remove_service(effect.service_id)
    return False


def _write_spec(deps: Deps, effect: WriteSpec) -> bool:
    """Out of sequence is no failure: the next look decides again, on what is there by then."""
    image = ImageName.parse(image_of(effect.spec))
    try:
        deps.engine.update_service(effect.service_id, effect.version, effect.spec, image)
    except OutOfSequence as error:
        log.info("out_of_sequence", service=effect.service_id, version=effect.version, reason=error.what)
        return False
    return True


def _make_helper(deps: Deps, effect: MakeHelper) -> None:
    """One that bears our mark was made before a crash. One of somebody else's is in the way: that is for a person."""
    name = str(effect.spec["Name"])
    try:
        deps.engine.create_service(effect.spec, ImageName.parse(image_of(effect.spec)))
    except Conflict as error:
        there = deps.engine.service(name)
        if there is None or there.mark != effect.spec["Labels"][ROLLOUT_LABEL]:
            raise GiveUp(f"the name {name} of a helper service is taken", "remove that service") from error


def _keep_evidence(deps: Deps, effect: KeepEvidence) -> None:
    lines = deps.engine.task_logs(effect.task_id, LOG_LINES).strip() or "(the task printed nothing)"
    error = effect.error or "none reported"
    deps.store.set_evidence(effect.rollout_id, f"task {effect.task_id}\nerror: {error}\nlast log lines:\n{lines}")
