"""Deps: everything that a job or a request needs from outside. The only place where adapters are built."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Semaphore

from nodewise import gates
from nodewise.adapters.builder import DockerBuilder
from nodewise.adapters.engine import SwarmEngine
from nodewise.adapters.git import GitCli
from nodewise.config.settings import Settings
from nodewise.domain.errors import RetryLater
from nodewise.domain.jobs import Job
from nodewise.ports import Builder, Clock, Engine, Git, Queue, ReadGate
from nodewise.store import Store


@dataclass(frozen=True, slots=True)
class Deps:
    """Built once per process, passed as an argument ever after."""

    settings: Settings
    store: Store
    engine: Engine
    builder: Builder
    git: Git
    queue: Queue
    clock: Clock
    build_slots: Semaphore
    read_gate: ReadGate = gates.read


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()


class NoQueue:
    """For callers that only write to the store: the sweep finds what they leave in the outbox."""

    def publish(self, job: Job, delay: float = 0.0) -> None:
        raise RetryLater(f"no queue here for {job.verb} {job.subject}", "the sweep picks it up within seconds")


def build_deps(settings: Settings, queue: Queue | None = None) -> Deps:
    """Everything real, lazily connected: nothing here talks to the network yet."""
    return Deps(
        settings=settings,
        store=Store.open(settings.database_url),
        engine=SwarmEngine(settings.docker_hosts, settings.registry_auth),
        builder=DockerBuilder(settings.build_host or settings.docker_hosts[0], settings.registry_auth),
        git=GitCli(allow_local=settings.git_allow_local),
        queue=queue or NoQueue(),
        clock=SystemClock(),
        build_slots=Semaphore(settings.concurrent_builds),
    )
