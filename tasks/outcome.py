"""What a job leaves behind when it returns: nothing, other jobs, or a time to be run again."""

from __future__ import annotations

from dataclasses import dataclass

from nodewise.domain.jobs import Job


@dataclass(frozen=True, slots=True)
class Outcome:
    """``jobs`` are in the outbox already and want to be published; ``again_at``: run this one again then.

    ``tried`` is false where it has not been begun, for want of room: that neither counts as an attempt nor wipes those
    that were spent.
    """

    jobs: tuple[Job, ...] = ()
    again_at: float | None = None
    tried: bool = True


DONE = Outcome()
