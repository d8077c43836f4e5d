"""Effects, carried out. One small function an effect; each may safely be carried out twice."""

from __future__ import annotations

import structlog

from nodewise.bootstrap import Deps
from nodewise.domain.effects import Effect, KeepEvidence, WriteSpec
from nodewise.domain.errors import OutOfSequence
from nodewise.domain.images import ImageName
from nodewise.domain.swarm import image_of

LOG_LINES = 20

log = structlog.get_logger(__name__)


def apply(deps: Deps, effect: Effect) -> bool:
    """Carry *effect* out; whether the service was written. Raises RetryLater or GiveUp as the adapter does."""
    match effect:
        case WriteSpec():
            return _write_spec(deps, effect)
        case KeepEvidence():
            _keep_evidence(deps, effect)
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


def _keep_evidence(deps: Deps, effect: KeepEvidence) -> None:
    lines = deps.engine.task_logs(effect.task_id, LOG_LINES).strip() or "(the task printed nothing)"
    error = effect.error or "none reported"
    deps.store.set_evidence(effect.rollout_id, f"task {effect.task_id}\nerror: {error}\nlast log lines:\n{lines}")
