"""Jobs: what stands in the outbox and travels over the queue. A message carries ids and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verb(StrEnum):
    """Every job there is. One plain function in ``tasks/`` each."""

    BUILD = "build"  # subject: a build
    PUSH = "push"  # subject: a build
    PLAN = "plan"  # subject: an event or a rollout
    ADVANCE = "advance"  # subject: a rollout
    ROLLBACK = "rollback"  # subject: a rollout
    WATCH = "watch"  # subject: a service's id; none: all of them
    TELL = "tell"  # subject: a rollout or a build
    CATCH_UP = "catch-up"  # no subject
    CLEAN = "clean"  # no subject
    SWEEP = "sweep"  # no subject


# Builds are long; a rollback must never stand behind anything.
QUEUES: dict[Verb, str] = {
    Verb.BUILD: "builds",
    Verb.PUSH: "builds",
    Verb.PLAN: "jobs",
    Verb.ADVANCE: "jobs",
    Verb.ROLLBACK: "rollbacks",
    Verb.WATCH: "jobs",
    Verb.TELL: "jobs",
    Verb.CATCH_UP: "jobs",
    Verb.CLEAN: "jobs",
    Verb.SWEEP: "jobs",
}


@dataclass(frozen=True, slots=True)
class Job:
    """One job. (verb, subject) is unique in the outbox: asking twice for the same work is asking once."""

    verb: Verb
    subject: str

    @property
    def queue(self) -> str:
        return QUEUES[self.verb]
