"""Deps: everything that a job or a request needs from outside. The only place where adapters are built."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Semaphore

from nodewise import gates
from nodewise.adapters.builds.builder import DockerBuilder
from nodewise.adapters.channels import channels
from nodewise.adapters.engine import SwarmEngine
from nodewise.adapters.git.cli import GitCli
from nodewise.adapters.registry.oci import OciRegistry
from nodewise.config.settings import Settings
from nodewise.domain.errors import RetryLater
from nodewise.domain.ids import Chance
from nodewise.domain.jobs import Job
from nodewise.domain.rollout import POLL
from nodewise.ports import Builder, Channel, Clock, Engine, Git, Manager, Queue, ReadGate, Registry
from nodewise.store import Store

ASIDE = 8  # questions put to the swarm side by side; its threads begin with the first one, after every fork
SOON = 4.0  # seconds
TELLERS = 2  # jobs of one worker that tell at a time: channels may be slow, and rollouts want the other threads
WATCHER = "watcher"  # the lease of the one process that watches the swarm


@dataclass(frozen=True, slots=True)
class Deps:
    """Built once per process, passed as an argument ever after."""

    settings: Settings
    store: Store
    engine: Engine
    builders: Mapping[str, Builder]  # by address
    git: Git
    registry: Registry
    queue: Queue
    clock: Clock
    build_slots: Semaphore
    read_gate: ReadGate = gates.read
    channels: Sequence[Channel] = ()
    tellers: Semaphore = field(default_factory=lambda: Semaphore(TELLERS))
    away: dict[str, float] = field(default_factory=dict)  # channels that did not answer, and until when they are left
    started_at: float = 0.0  # when this process began
    pulse: Pulse = field(default_factory=lambda: Pulse())
    chance: Chance = secrets.randbits
    aside: Executor = field(default_factory=lambda: ThreadPoolExecutor(ASIDE, thread_name_prefix="aside"))


class Pulse:
    """Whether somebody watches the swarm and wakes rollouts: then they need not look by themselves so often."""

    REMEMBERED = 2.0  # seconds
    WATCHED = 10.0  # seconds between two looks of a rollout that will be woken when something happens

    def __init__(self) -> None:
        self._asked_at = float("-inf")
        self._watched = False

    def poll(self, deps: Deps) -> float:
        """How many seconds later a rollout looks again at the latest."""
        now = deps.clock.now()
        if not 0 <= now - self._asked_at < self.REMEMBERED:
            self._asked_at, self._watched = now, deps.store.lease_holder(WATCHER, now) is not None
        return self.WATCHED if self._watched else POLL


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()


class NoQueue:
    """For callers that only write to the store: the sweep finds what they leave in the outbox."""

    def publish(self, job: Job, delay: float = 0.0) -> None:
        raise RetryLater(f"no queue here for {job.verb} {job.subject}", "the sweep picks it up within seconds")


def build_managers(settings: Settings) -> dict[str, Manager]:
    """Each manager by itself, for who wants to know which of them answers; soon, or not at all."""
    return {h: SwarmEngine([h], settings.registry_auth, timeout=SOON) for h in settings.docker_hosts}


def build_deps(settings: Settings, queue: Queue | None = None) -> Deps:
    """Everything real, lazily connected: nothing here talks to the network yet."""
    clock = SystemClock()
    return Deps(
        settings=settings,
        store=Store.open(settings.database_url, tells=settings.tells),
        engine=SwarmEngine(settings.docker_hosts, settings.registry_auth),
        builders={
            host: DockerBuilder(host, settings.registry_auth)
            for host in settings.build_host or settings.docker_hosts[:1]
        },
        git=GitCli(settings.data_dir / "git", allow_local=settings.git_allow_local),
        registry=OciRegistry(settings.registry_auth, settings.registry_address),
        queue=queue or NoQueue(),
        clock=clock,
        build_slots=Semaphore(settings.concurrent_builds),
        channels=channels(settings),
        started_at=clock.now(),
    )
